"""Input requests of modern servers, sent to legacy clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from redis import Redis

from longshore.gateway.app import public_runner
from longshore.gateway.appkeys import EXPIRY, SESSIONS
from longshore.gateway.mcp.sessions.end_watcher import SESSION_ENDS
from longshore.shared.config import Config
from longshore.shared.metrics import Metrics
from longshore.shared.state.expiry import Expiry
from longshore.shared.state.sessions import Caller
from tests.fixtures.gateway import Backing, Client, entry, producer
from tests.fixtures.leaks import Holdings, at_rest, left_behind
from tests.fixtures.modern_upstream import DONE, PREFIX, asks, modern_upstream
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream

_ALL = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {"listChanged": True}}
_FORM: dict[str, Any] = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "who?", "requestedSchema": {"type": "object", "properties": {}}},
}
_URL: dict[str, Any] = {
    "method": "elicitation/create", "params": {"mode": "url", "message": "log in", "url": "https://a.example/x"},
}
_SAMPLE: dict[str, Any] = {"method": "sampling/createMessage", "params": {"maxTokens": 9, "messages": []}}
_ROOTS = {"method": "roots/list"}
_ACCEPTED = {"action": "accept", "content": {"name": "Ada"}}
_CALL = {"name": "echo", "arguments": {"region": "x"}, "_meta": {"progressToken": 7}}


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with modern_upstream() as running:
        yield running


@dataclass
class Open:
    """Call whose response is a stream, read message by message."""

    response: aiohttp.ClientResponse
    received: list[dict[str, Any]] = field(default_factory=list)

    async def next(self) -> dict[str, Any]:
        """Read the next message."""
        async with asyncio.timeout(20):
            if self.response.content_type == "application/json":
                message: dict[str, Any] = msgspec.json.decode(await self.response.read())
                return message
            async for line in self.response.content:
                if line.startswith(b"data: {"):
                    message = msgspec.json.decode(line.removeprefix(b"data: "))
                    self.received.append(message)
                    return message
        raise AssertionError(f"the stream ended after {self.received}")


@dataclass
class Pair:
    """Session of one client at two gateways."""

    one: Client
    other: Client
    apps: list[web.Application]

    async def reply(self, client: Client, sent: dict[str, Any], value: dict[str, Any]) -> int:
        """Respond to the server request at `client`'s gateway; returns the HTTP status."""
        return (await client.post({"jsonrpc": "2.0", "id": sent["id"], "result": value})).status

    @asynccontextmanager
    async def calling(self, method: str = "tools/call", params: dict[str, Any] = _CALL) -> AsyncIterator[Open]:
        """Make a call at the first gateway."""
        message = {"jsonrpc": "2.0", "id": "call", "method": method, "params": params}
        head = {**self.one.headers(), "Content-Type": "application/json"}
        address = self.one.base + self.one.mount
        async with self.one.http.post(address, data=msgspec.json.encode(message), headers=head) as response:
            yield Open(response)


@asynccontextmanager
async def pair(
    config: Config, capabilities: dict[str, Any] | None = None, *, version: str = "2025-11-25"
) -> AsyncIterator[Pair]:
    """Start a session with these client capabilities, by default all."""
    async with _serving(config) as (app, base), _serving(config) as (second, other), aiohttp.ClientSession() as http:
        one = Client(http, base, config.servers[0].mount_path)
        params = {
            "protocolVersion": version, "capabilities": _ALL if capabilities is None else capabilities,
            "clientInfo": {"name": "tests", "version": "1"},
        }
        opened = await one.request("initialize", params)
        one.session_id = opened.headers["Mcp-Session-Id"]
        yield Pair(one, Client(http, other, one.mount, one.session_id), [app, second])


@asynccontextmanager
async def _serving(config: Config) -> AsyncIterator[tuple[web.Application, str]]:
    runner = public_runner(config, Metrics())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.app, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _meta(seen: Seen, key: str) -> Any:
    return seen.params["_meta"][PREFIX + key]


@pytest.mark.requirement("mrtr.client-state", "mrtr.client-id")
@pytest.mark.parametrize(("method", "params", "then"), [
    ("tools/call", _CALL, DONE),
    ("prompts/get", {"name": "ask"}, {"resultType": "complete", "messages": []}),
    ("resources/read", {"uri": "sea://chart"}, {"resultType": "complete", "contents": []}),
])
async def test_input_requests_become_server_requests_whose_responses_any_gateway_accepts(
    shared_backing: Backing, upstream: ScriptedUpstream, method: str, params: dict[str, Any], then: dict[str, Any]
) -> None:
    """Several requests at once, in two rounds; the server gets its state and keys back, under another id each time."""
    upstream.behaviours[method] = asks({"a": _FORM, "b": _SAMPLE, "c": _ROOTS}, {"again": _FORM}, then=then)
    sampled = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "hi"}}
    answers: dict[str, Any] = {
        "elicitation/create": _ACCEPTED, "sampling/createMessage": sampled, "roots/list": {"roots": []},
    }
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling(method, params) as call:
        sent = [await call.next() for _ in range(3)]
        statuses = [await clients.reply(clients.other, one, answers[one["method"]]) for one in reversed(sent)]
        later = await call.next()
        await clients.reply(clients.one, later, {"action": "decline"})
        answer = await call.next()

    assert statuses == [202] * 3
    assert [one["method"] for one in sent] == ["elicitation/create", "sampling/createMessage", "roots/list"]
    assert sent[0]["params"] == _FORM["params"]
    assert len({one["id"] for one in [*sent, later]}) == 4
    assert answer == {"jsonrpc": "2.0", "id": "call", "result": {k: v for k, v in then.items() if k != "resultType"}}
    first, second, third = upstream.calls(method)
    assert "requestState" not in first.params
    assert second.params["requestState"] == "state 1"
    assert second.params["inputResponses"] == {"a": _ACCEPTED, "b": sampled, "c": {"roots": []}}
    assert third.params["requestState"] == "state 2"
    assert third.params["inputResponses"] == {"again": {"action": "decline"}}
    assert len({seen.message["id"] for seen in (first, second, third)}) == 3
    for seen in (second, third):
        assert {key: seen.params[key] for key in params if key != "_meta"} == {
            key: value for key, value in params.items() if key != "_meta"
        }
        assert seen.request.headers["Mcp-Method"] == method
        assert _meta(seen, "clientCapabilities") == {**_ALL, "roots": {}}


async def test_a_file_written_after_an_input_request_becomes_an_artifact(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The path is the same in all rounds."""
    paths: list[str] = []
    asking = asks({"a": _FORM})

    async def behave(seen: Seen) -> Reply:
        paths.append(seen.params["arguments"]["path"])
        if "requestState" in seen.params:
            await asyncio.to_thread(Path(paths[-1]).write_bytes, b"written")
        return await asking(seen)

    upstream.behaviours["tools/call"] = behave
    params = {"name": "write", "arguments": {"path": "out.txt"}}
    config = shared_backing.config(entry(upstream.url, producer("write")))
    async with pair(config) as clients, clients.calling(params=params) as call:
        await clients.reply(clients.other, await call.next(), _ACCEPTED)
        answer = await call.next()
        uri = answer["result"]["_meta"]["artifact"]["artifact_uri"]
        read = await clients.other.result("resources/read", {"uri": uri})

    assert len(paths) == 2
    assert len(set(paths)) == 1
    assert read["contents"][0]["text"] == "written"


async def test_progress_passes_before_and_between_input_requests(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """They arrive on the stream of the call; a forbidden server request is dropped."""

    async def works(seen: Seen) -> web.StreamResponse:
        step = 2 if "requestState" in seen.params else 1
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7, "progress": step}}
        stray = {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}}
        wants = {"resultType": "input_required", "inputRequests": {"a": _FORM}, "requestState": "s"}
        last = result(seen, DONE if step == 2 else wants)
        return await stream(seen, *(b"data: " + msgspec.json.encode(one) + b"\n\n" for one in (note, stray, last)))

    upstream.behaviours["tools/call"] = works
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        first, sent = await call.next(), await call.next()
        await clients.reply(clients.other, sent, _ACCEPTED)
        second, answer = await call.next(), await call.next()

    assert [first["params"]["progress"], second["params"]["progress"]] == [1, 2]
    assert sent["method"] == "elicitation/create"
    assert answer["result"] == {"content": DONE["content"]}


@pytest.mark.parametrize(("version", "capabilities", "expected"), [
    ("2025-11-25", {}, {}),
    ("2025-11-25", {"elicitation": {}, "tasks": {"list": {}}}, {"elicitation": {"form": {}}}),
    ("2025-11-25", {"elicitation": {"url": {}}}, {"elicitation": {"url": {}}}),
    ("2025-06-18", {"elicitation": {"url": {}}, "sampling": {"tools": {}}},
     {"elicitation": {"form": {}}, "sampling": {}}),
    ("2025-11-25", {"experimental": {"x": {"y": 1}}, "roots": {"listChanged": True}},
     {"experimental": {"x": {"y": 1}}, "roots": {}}),
    ("2025-11-25", {"extensions": {"io.modelcontextprotocol/ui": {"m": []}, "a.example/own": {}}},
     {"extensions": {"io.modelcontextprotocol/ui": {"m": []}}}),
])
async def test_the_server_gets_the_capabilities_of_the_client(
    shared_backing: Backing, upstream: ScriptedUpstream, version: str, capabilities: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """Only those that the client's revision defines and longshore can pass on."""
    config = shared_backing.config(entry(upstream.url))
    async with pair(config, capabilities, version=version) as clients, clients.calling() as call:
        await call.next()

    assert _meta(upstream.last("tools/call"), "clientCapabilities") == expected


async def test_a_client_without_a_stream_declares_no_input_capabilities(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with pair(shared_backing.config(entry(upstream.url))) as clients:
        await clients.one.request("tools/call", _CALL, {"Accept": "application/json"})

    assert _meta(upstream.last("tools/call"), "clientCapabilities") == {}


async def test_a_client_without_a_stream_gets_one_message_where_the_server_streams(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def streams(seen: Seen) -> web.StreamResponse:
        note = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7, "progress": 1}}
        events = (b"data: " + msgspec.json.encode(one) + b"\n\n" for one in (note, result(seen, DONE)))
        return await stream(seen, *events)

    upstream.behaviours["tools/call"] = streams
    async with pair(shared_backing.config(entry(upstream.url))) as clients:
        answer = await clients.one.request("tools/call", _CALL, {"Accept": "application/json"})

    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.message["result"] == {"content": DONE["content"]}


@pytest.mark.parametrize(("wants", "has", "name"), [
    (_FORM, {"elicitation": {"url": {}}}, "elicitation.form"),
    (_URL, {"elicitation": {}}, "elicitation.url"),
    (_SAMPLE, {}, "sampling"),
    ({**_SAMPLE, "params": {"tools": []}}, {"sampling": {}}, "sampling.tools"),
    (_ROOTS, {"elicitation": {}}, "roots"),
])
async def test_a_client_without_the_capability_gets_an_error_that_names_it(
    shared_backing: Backing, upstream: ScriptedUpstream, wants: dict[str, Any], has: dict[str, Any], name: str
) -> None:
    """As a tool result, and as an error for other methods; the client gets no input request."""
    for method in ("tools/call", "prompts/get"):
        upstream.behaviours[method] = asks({"a": wants})
    async with pair(shared_backing.config(entry(upstream.url)), has) as clients:
        async with clients.calling() as call:
            of_tool = await call.next()
        async with clients.calling("prompts/get", {"name": "ask"}) as call:
            of_prompt = await call.next()

    part, _, mode = name.partition(".")
    assert of_tool["result"]["isError"] is True
    assert name in of_tool["result"]["content"][0]["text"]
    assert of_prompt["error"]["code"] == -32021
    assert of_prompt["error"]["data"] == {
        "reason": "missing_capability", "requiredCapabilities": {part: {mode: {}} if mode else {}}
    }


async def test_a_missing_capability_error_of_the_server_is_converted(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def needs(seen: Seen) -> web.Response:
        error = {"code": -32021, "message": "no", "data": {"requiredCapabilities": {"sampling": {}}}}
        return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}, status=400)

    upstream.behaviours |= {"tools/call": needs, "prompts/get": needs}
    async with pair(shared_backing.config(entry(upstream.url)), {}) as clients:
        async with clients.calling() as call:
            of_tool = await call.next()
        async with clients.calling("prompts/get", {"name": "ask"}) as call:
            of_prompt = await call.next()

    assert of_tool["result"]["isError"] is True
    assert "sampling" in of_tool["result"]["content"][0]["text"]
    assert of_prompt["error"]["data"] == {"requiredCapabilities": {"sampling": {}}}


async def test_a_url_elicitation_gets_an_id_and_a_completion_notification(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """A user who accepted gets the completion notification; one who declined does not."""
    upstream.behaviours["tools/call"] = asks({"yes": _URL, "no": _URL})
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        agreed, refused = await call.next(), await call.next()
        await clients.reply(clients.other, agreed, {"action": "accept"})
        await clients.reply(clients.other, refused, {"action": "decline"})
        done, answer = await call.next(), await call.next()

    assert agreed["params"] == {**_URL["params"], "elicitationId": agreed["params"]["elicitationId"]}
    assert agreed["params"]["elicitationId"] != refused["params"]["elicitationId"]
    assert done["method"] == "notifications/elicitation/complete"
    assert done["params"] == {"elicitationId": agreed["params"]["elicitationId"]}
    assert answer["result"] == {"content": DONE["content"]}
    assert upstream.last("tools/call").params["inputResponses"] == {
        "yes": {"action": "accept"}, "no": {"action": "decline"}
    }


async def test_unsolicited_responses_are_dropped(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """From another session, under an unknown id, sent twice: each is accepted and dropped."""
    upstream.behaviours["tools/call"] = asks({"a": _FORM, "b": _ROOTS})
    config = shared_backing.config(entry(upstream.url))
    async with pair(config) as clients, pair(config) as foreign, clients.calling() as call:
        form, roots = await call.next(), await call.next()
        statuses = [await foreign.reply(foreign.one, form, {"action": "accept", "content": {"name": "Eve"}})]
        unknown: list[dict[str, Any]] = [
            {"id": "longshore-" + "x" * 22}, {"id": 5}, {"id": "call"}, {"id": "longshore-../x"},
            {"id": form["id"].removeprefix("longshore-")},
        ]
        statuses += [await clients.reply(clients.one, one, {"action": "accept"}) for one in unknown]
        statuses.append(await clients.reply(clients.other, form, _ACCEPTED))
        statuses.append(await clients.reply(clients.one, form, {"action": "cancel"}))
        statuses.append(await clients.reply(clients.one, roots, {"roots": []}))
        await call.next()
        statuses.append(await clients.reply(clients.one, roots, {"roots": []}))

    assert statuses == [202] * 10
    assert len(upstream.calls("tools/call")) == 2
    assert upstream.last("tools/call").params["inputResponses"] == {"a": _ACCEPTED, "b": {"roots": []}}
    assert not [seen for seen in upstream.seen if "method" not in seen.message]


async def test_input_responses_made_up_by_a_legacy_client_are_removed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Legacy revisions have neither field."""
    forged = {**_CALL, "requestState": "state 1", "inputResponses": {"a": _ACCEPTED}}
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling(params=forged) as call:
        await call.next()

    assert not {"requestState", "inputResponses"} & upstream.last("tools/call").params.keys()


async def test_an_error_response_of_the_client_ends_the_call(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = asks({"a": _SAMPLE})
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        sent = await call.next()
        error = {"code": -1, "message": "User rejected sampling request"}
        await clients.other.post({"jsonrpc": "2.0", "id": sent["id"], "error": error})
        answer = await call.next()

    assert answer["result"]["isError"] is True
    assert "User rejected sampling request" in answer["result"]["content"][0]["text"]
    assert len(upstream.calls("tools/call")) == 1


async def test_the_number_of_rounds_is_limited(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = asks(*[{"a": _ROOTS}] * 40)
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        while "method" in (message := await call.next()):
            await clients.reply(clients.other, message, {"roots": []})

    assert message["result"]["_meta"]["longshore/reason"] == "input_missing"
    assert len(upstream.calls("tools/call")) == 11


@pytest.mark.requirement("mrtr.client-state")
async def test_a_result_without_input_requests_is_retried(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Such a server waits for something else."""
    upstream.behaviours["tools/call"] = asks({}, {})
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        answer = await call.next()

    assert answer["result"] == {"content": DONE["content"]}
    assert [seen.params.get("requestState") for seen in upstream.calls("tools/call")] == [None, "state 1", "state 2"]


@pytest.mark.parametrize("wanted", [
    {}, {"inputRequests": {}}, {"inputRequests": []}, {"inputRequests": {"a": {"params": {}}}},
    {"inputRequests": {"a": {"method": "tasks/get"}}}, {"inputRequests": {"a": {**_FORM, "params": 1}}},
    {"inputRequests": {str(number): _ROOTS for number in range(17)}},
])
async def test_malformed_input_requests_are_an_upstream_error(
    shared_backing: Backing, upstream: ScriptedUpstream, wanted: dict[str, Any]
) -> None:
    async def wants(seen: Seen) -> Reply:
        return result(seen, {"resultType": "input_required", **wanted})

    upstream.behaviours["tools/call"] = wants
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        answer = await call.next()

    assert answer["error"]["data"]["reason"] == "upstream_unavailable"


async def test_a_request_without_response_in_time_is_cancelled(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The timeout of the call is paused meanwhile."""
    upstream.behaviours["tools/call"] = asks({"a": _FORM})
    config = shared_backing.config(entry(upstream.url), sessions={"input_wait_seconds": 1})
    async with pair(config) as clients, clients.calling() as call:
        sent, cancelled, answer = await call.next(), await call.next(), await call.next()

    assert cancelled["method"] == "notifications/cancelled"
    assert cancelled["params"]["requestId"] == sent["id"]
    assert answer["result"]["_meta"]["longshore/reason"] == "input_missing"


@dataclass
class _Counts:
    """Resources in use before the call, and the mailbox keys in Redis now."""

    apps: list[web.Application]
    redis_url: str
    before: list[Holdings]

    async def left(self) -> list[object]:
        """Return what is left after everything has had time to end; empty for nothing."""
        found: list[object] = []
        for app, before in zip(self.apps, self.before, strict=True):
            found += (await left_behind(app, self.redis_url, before)).items()
        with Redis.from_url(self.redis_url) as redis:
            return [*found, *redis.keys("longshore:mailbox:*")]


async def _counted(clients: Pair, backing: Backing) -> _Counts:
    """Count after a first call with an input request, which opens long-lived resources."""
    async with clients.calling() as call:
        while "method" in (message := await call.next()):
            await clients.reply(clients.other, message, _ACCEPTED)
    before = [await at_rest(app, backing.redis_url) for app in clients.apps]
    return _Counts(clients.apps, backing.redis_url, before)


@pytest.mark.parametrize("where", ["one", "other"])
async def test_a_call_cancelled_while_it_waits_releases_everything(
    fresh_backing: Backing, upstream: ScriptedUpstream, where: str
) -> None:
    """It is cancelled at either gateway; the request to the client is cancelled, and the server gets no retry."""
    upstream.behaviours["tools/call"] = asks({"a": _FORM})
    async with pair(fresh_backing.config(entry(upstream.url))) as clients:
        counts = await _counted(clients, fresh_backing)
        async with clients.calling() as call:
            sent = await call.next()
            params = {"requestId": "call", "reason": "enough"}
            client: Client = getattr(clients, where)
            await client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
            cancelled, answer = await call.next(), await call.next()
        late = await clients.reply(clients.other, sent, _ACCEPTED)
        left = await counts.left()

    assert cancelled["params"]["requestId"] == sent["id"]
    assert answer["error"]["data"]["reason"] == "cancelled"
    assert late == 202
    assert len(upstream.calls("tools/call")) == 3
    assert left == []


async def test_a_call_may_be_cancelled_at_all_gateways_at_once(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = asks({"a": _FORM})
    cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "call"}}
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        await call.next()
        cancelled = await asyncio.gather(*(
            client.post(cancel) for client in (clients.one, clients.other) for _ in range(5)
        ))
        await call.next()
        answer = await call.next()

    assert {one.status for one in cancelled} == {202}
    assert answer["error"]["data"]["reason"] == "cancelled"


@pytest.mark.parametrize("where", ["one", "other", "operator", "expiry"])
async def test_a_waiting_call_ends_with_its_session_and_releases_everything(
    fresh_backing: Backing, upstream: ScriptedUpstream, where: str
) -> None:
    """The session ends at either gateway, or by a process without clients."""
    upstream.behaviours["tools/call"] = asks({"a": _FORM})
    config = fresh_backing.config(entry(upstream.url), sessions={"idle_ttl_seconds": 1})
    async with pair(config) as clients:
        counts = await _counted(clients, fresh_backing)
        async with clients.calling() as call:
            sent = await call.next()
            await _end_session(clients, fresh_backing, where)
            cancelled, answer = await call.next(), await call.next()
        late = await clients.reply(clients.other, sent, _ACCEPTED)
        left = await counts.left()

    assert cancelled["params"]["requestId"] == sent["id"]
    assert answer["id"] == "call"
    assert answer["error"]["data"]["reason"] == "session_not_found"
    assert late in (202, 404)
    assert len(upstream.calls("tools/call")) == 3
    assert left == []


async def _end_session(clients: Pair, backing: Backing, where: str) -> None:
    session_id, app = clients.one.session_id, clients.apps[1]
    assert session_id is not None
    if where == "operator":
        await app[SESSIONS].end(Caller(session_id, "files", principal=""), reason="an operator ended it")
    elif where == "expiry":                # as where the gateway of the call could not renew its lease
        with Redis.from_url(backing.redis_url) as redis:
            redis.delete(f"longshore:leases:{session_id}")
        async with asyncio.timeout(20):
            while (await app[EXPIRY].expire(session_id)).outcome is Expiry.KEPT:
                await asyncio.sleep(0.05)
    else:
        client: Client = getattr(clients, where)
        assert await client.delete() == 204


async def test_a_call_whose_session_ended_before_the_input_request_does_not_wait(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The session ends while the server works, before anything waits for its end."""
    asking = asks({"a": _FORM})
    is_called, may_ask = asyncio.Event(), asyncio.Event()

    async def behave(seen: Seen) -> Reply:
        is_called.set()
        await may_ask.wait()
        return await asking(seen)

    upstream.behaviours["tools/call"] = behave
    async with pair(shared_backing.config(entry(upstream.url))) as clients:
        async def ended() -> int:
            await is_called.wait()
            status = await clients.other.delete()
            may_ask.set()
            return status

        async def called() -> dict[str, Any]:
            async with clients.calling() as call:
                return await call.next()

        async with asyncio.timeout(30):
            status, answer = await asyncio.gather(ended(), called())
            ends: list[str] = []
            async with clients.apps[0][SESSION_ENDS].watch(clients.one.session_id or "", lambda: ends.append("ended")):
                pass

    assert ends == ["ended"]
    assert status == 204
    assert answer["error"]["data"]["reason"] == "session_not_found"
    assert len(upstream.calls("tools/call")) == 1


async def test_a_client_that_disconnects_during_an_input_request_leaves_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = asks({"a": _FORM, "b": _ROOTS})
    async with pair(fresh_backing.config(entry(upstream.url))) as clients:
        counts = await _counted(clients, fresh_backing)
        async with clients.calling() as call:
            sent = await call.next()
            call.response.close()
        left = await counts.left()
        late = await clients.reply(clients.other, sent, _ACCEPTED)

    assert left == []
    assert late == 202
    assert len(upstream.calls("tools/call")) == 3


async def test_a_waiting_call_counts_as_in_flight(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Its lease lasts until the response; with a limit of one, only then another call may start."""
    upstream.behaviours["tools/call"] = asks({"a": _FORM})
    config = fresh_backing.config(entry(upstream.url), sessions={"max_in_flight_per_session": 1})
    async with pair(config) as clients:
        async with clients.calling() as call:
            sent = await call.next()
            refused = await clients.other.request("tools/list")
            await clients.reply(clients.other, sent, _ACCEPTED)
            await call.next()
        async with clients.calling() as call:
            again = await call.next()

    assert refused.status == 429
    assert again["method"] == "elicitation/create"


async def test_the_waiting_calls_of_a_principal_are_limited(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """One more is refused; after a retry its slot is free."""
    upstream.behaviours["tools/call"] = asks({"a": _FORM})
    config = shared_backing.config(entry(upstream.url), sessions={"max_waiting_calls_per_principal": 1})
    async with pair(config) as clients:
        async with clients.calling() as call:
            sent = await call.next()
            async with clients.calling() as second:
                refused = await second.next()
            await clients.reply(clients.other, sent, _ACCEPTED)
            await call.next()
        async with clients.calling() as third:
            again = await third.next()

    assert refused["error"]["data"]["reason"] == "too_many"
    assert again["method"] == "elicitation/create"


async def test_one_of_two_responses_at_two_gateways_is_accepted(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = asks({"a": _FORM})
    async with pair(shared_backing.config(entry(upstream.url))) as clients, clients.calling() as call:
        sent = await call.next()
        both = [
            {"action": "accept", "content": {"name": name}} for name in ("Ada", "Eve")
        ]
        await asyncio.gather(
            clients.reply(clients.one, sent, both[0]), clients.reply(clients.other, sent, both[1])
        )
        await call.next()

    assert len(upstream.calls("tools/call")) == 2
    assert upstream.last("tools/call").params["inputResponses"]["a"] in both


async def test_input_requests_of_a_batch_member_are_sent_on_the_stream_of_the_batch(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = asks({"a": _ROOTS})
    config = shared_backing.config(entry(upstream.url))
    batch = [
        {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "echo"}} for number in (1, 2)
    ]
    async with pair(config, version="2025-03-26") as clients:
        head = {**clients.one.headers(), "Content-Type": "application/json", "MCP-Protocol-Version": "2025-03-26"}
        address = clients.one.base + clients.one.mount
        async with clients.one.http.post(address, data=msgspec.json.encode(batch), headers=head) as response:
            call = Open(response)
            for sent in [await call.next(), await call.next()]:
                await clients.reply(clients.other, sent, {"roots": []})
            answers = [await call.next(), await call.next()]
        as_array = await clients.one.post(msgspec.json.encode(batch), {**head, "Accept": "application/json"})

    assert sorted(answer["id"] for answer in answers) == [1, 2]
    assert [answer["result"]["content"] for answer in answers] == [DONE["content"]] * 2
    assert [answer["result"]["isError"] for answer in msgspec.json.decode(as_array.body)] == [True, True]
