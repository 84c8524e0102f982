"""Input requests of legacy servers during a call, sent to modern clients as `input_required` results."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from longshore.shared.config import Config
from longshore.shared.ids import new_id
from tests.fixtures.gateway import Backing, Client, entry, gateway, producer
from tests.fixtures.modern import Modern
from tests.fixtures.server_requests import (
    ADA,
    CAPABILITIES,
    FORM,
    PATIENCE_S,
    ROOTS,
    SAMPLE,
    InputRequired,
    Tool,
    call,
    event,
    received,
)
from tests.fixtures.upstreams import ScriptedUpstream, Seen

_SAMPLED = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}
_ROOTED = {"roots": [{"uri": "file:///home"}]}


@asynccontextmanager
async def _clients(config: Config, count: int = 1) -> AsyncIterator[list[Modern]]:
    """Clients, one for each of `count` gateways."""
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        bases = [await stack.enter_async_context(gateway(config)) for _ in range(count)]
        yield [Modern(Client(http, base, "/mcp/files")) for base in bases]


@pytest.fixture(params=["here", "elsewhere"])
async def pair(
    request: pytest.FixtureRequest, shared_backing: Backing, upstream: ScriptedUpstream
) -> AsyncIterator[tuple[Modern, Modern]]:
    """Client of the gateway where a call starts, and of the one that gets its retry: the same, or another one."""
    count = 1 if request.param == "here" else 2
    async with _clients(shared_backing.config(entry(upstream.url, producer("write"))), count) as clients:
        yield clients[0], clients[-1]


async def test_a_server_request_becomes_an_input_required_result_and_the_retry_resumes_the_call(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()

    required = InputRequired.of(await call(first, workspace=workspace))
    ended = await call(second, required.answers(ADA), workspace=workspace)

    assert list(required.requests.values()) == [FORM]
    assert received(ended) == [ADA]
    assert ended.message["id"] == second.last_id
    assert len(upstream.calls("tools/call")) == 1
    assert "inputResponses" not in upstream.last("tools/call").params


async def test_a_server_learns_the_capabilities_that_its_client_declares(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    """Clients that declare other capabilities have other upstream sessions; they share their files."""
    first, second = pair
    workspace = new_id()
    url: dict[str, Any] = {CAPABILITIES: {"elicitation": {"url": {}}, "extensions": {"x/y": {}}}}
    none: dict[str, Any] = {CAPABILITIES: {}}

    for meta in ({}, url, none, {}):
        for client in (first, second):
            await call(client, workspace=workspace, meta=meta, tool="echo")

    declared = [seen.params["capabilities"] for seen in upstream.calls("initialize")]
    used = [seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("tools/call")]
    assert [one for one in declared if one] == [
        {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}, {"elicitation": {"url": {}}},
    ]
    assert used[:2] == used[6:] == [used[0]] * 2
    assert len({used[0], used[2], used[4]}) == 3


@pytest.mark.requirement("modern.no-requests", "mrtr.keys")
async def test_several_requests_at_once_and_several_rounds(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM, SAMPLE], [ROOTS]])
    first, second = pair
    workspace = new_id()

    required = InputRequired.of(await call(first, workspace=workspace))
    again = InputRequired.of(await call(second, required.answers(ADA, _SAMPLED), workspace=workspace))
    ended = await call(first, again.answers(_ROOTED), workspace=workspace)

    assert required.methods == ["elicitation/create", "sampling/createMessage"]
    assert again.methods == ["roots/list"]
    assert required.state != again.state
    assert received(ended) == [ADA, _SAMPLED, _ROOTED]


async def test_a_request_that_was_not_answered_is_returned_again(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM, SAMPLE]])
    first, second = pair
    workspace = new_id()

    required = InputRequired.of(await call(first, workspace=workspace))
    foreign = {"inputResponses": {"of no request": {}}, "requestState": required.state}
    still = InputRequired.of(await call(second, foreign, workspace=workspace))
    rest = InputRequired.of(await call(second, still.answers(ADA), workspace=workspace))
    ended = await call(first, rest.answers(_SAMPLED), workspace=workspace)

    assert still.requests == required.requests
    assert rest.methods == ["sampling/createMessage"]
    assert received(ended) == [ADA, _SAMPLED]


class _Slow(Tool):
    """Tool that notifies of progress, under the token of the original request, before it ends."""

    async def before_end(self, seen: Seen, response: aiohttp.web.StreamResponse) -> None:
        params = {"progressToken": seen.params["_meta"]["progressToken"], "progress": 1}
        await response.write(event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))


async def test_progress_has_the_token_of_the_current_request(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    _Slow(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()

    required = InputRequired.of(await call(first, workspace=workspace, meta={"progressToken": "one"}))
    ended = await call(second, required.answers(ADA), workspace=workspace, meta={"progressToken": 2})
    required = InputRequired.of(await call(first, workspace=workspace, meta={"progressToken": "one"}))
    silent = await call(second, required.answers(ADA), workspace=workspace)

    events = [msgspec.json.decode(line[5:]) for line in ended.body.split(b"\n") if line.startswith(b"data:")]
    assert [one.get("params", {}).get("progressToken") for one in events] == [2, None]
    assert received(ended) == received(silent) == [ADA]
    assert silent.headers["Content-Type"].startswith("application/json")


async def test_a_large_result_passes_between_gateways(pair: tuple[Modern, Modern], upstream: ScriptedUpstream) -> None:
    """It is larger than the buffer between two gateways."""
    large = "".join(map(str, range(1_500_000)))
    Tool(upstream, [[FORM]], more=large)
    first, second = pair
    workspace = new_id()

    required = InputRequired.of(await call(first, workspace=workspace))
    ended = await call(second, required.answers(ADA), workspace=workspace)

    assert received(ended) == [ADA]
    assert ended.message["result"]["content"][1]["text"] == large


@pytest.mark.requirement("mrtr.declared")
async def test_a_request_that_the_client_has_no_capability_for_is_refused_and_the_call_continues(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    ping, strange = {"method": "ping"}, {"method": "tasks/get", "params": {"taskId": "t"}}
    by_url = {"method": "elicitation/create", "params": {"mode": "url", "url": "https://x.example", "message": "m"}}
    with_tools = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5, "tools": []}}
    Tool(upstream, [[FORM, by_url, SAMPLE, with_tools, ROOTS, ping, strange]])
    some: dict[str, Any] = {CAPABILITIES: {"elicitation": {"form": {}}, "sampling": {}}}

    plain = received(await call(pair[0], workspace=new_id(), meta={CAPABILITIES: {}}))
    required = InputRequired.of(await call(pair[0], workspace=new_id(), meta=some))

    assert [one.get("code") for one in plain] == [-32601] * 5 + [None, -32601]
    assert plain[5] == {}
    assert required.methods == ["elicitation/create", "sampling/createMessage"]


async def test_a_suspended_call_that_the_server_ends_gets_its_result(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    tool = Tool(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()

    required = InputRequired.of(await call(first, workspace=workspace))
    # The server needs no input any more.
    await tool.answered(Seen(upstream.seen[-1].request, b"", _own_answer(upstream)))
    await tool.wait_ended()
    ended = await call(second, required.answers(ADA), workspace=workspace)

    assert received(ended) == [{"action": "cancel"}]


def _own_answer(upstream: ScriptedUpstream) -> dict[str, Any]:
    return {"id": f"{upstream.last('tools/call').message['id']}-0-0", "result": {"action": "cancel"}}


@pytest.mark.parametrize("given", [
    {"inputResponses": [], "requestState": "x"}, {"inputResponses": {"1": 7}, "requestState": "x"},
    {"requestState": 7},
])
async def test_a_malformed_retry_is_refused(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream, given: dict[str, Any]
) -> None:
    answer = await call(pair[0], given, workspace=new_id())

    assert (answer.status, answer.message["error"]["code"], answer.reason) == (400, -32602, "invalid_params")
    assert upstream.calls("tools/call") == []


@pytest.mark.requirement("mrtr.state", "mrtr.once")
async def test_a_request_state_is_valid_once_for_its_caller_and_its_request(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()
    required = InputRequired.of(await call(first, workspace=workspace))
    middle = len(required.state) // 2
    changed = required.state[:middle] + ("A" if required.state[middle] != "A" else "B") + required.state[middle + 1:]
    given = required.answers(ADA)
    refused = {
        "forged": await call(second, {**given, "requestState": changed}, workspace=workspace),
        "longer": await call(second, {**given, "requestState": required.state + "A"}, workspace=workspace),
        "nonsense": await call(second, {**given, "requestState": "{}"}, workspace=workspace),
        "another workspace": await call(second, required.answers(ADA), workspace=new_id()),
        "another tool": await call(second, required.answers(ADA), workspace=workspace, tool="echo"),
        "other arguments": await call(second, required.answers(ADA), workspace=workspace, arguments={"a": 1}),
    }
    assert received(await call(second, required.answers(ADA), workspace=workspace)) == [ADA]
    refused["replayed here"] = await call(first, required.answers(ADA), workspace=workspace)
    refused["replayed there"] = await call(second, required.answers(ADA), workspace=workspace)

    found = {name: (answer.status, answer.message["error"]["code"], answer.reason) for name, answer in refused.items()}
    assert found == dict.fromkeys(refused, (400, -32602, "invalid_request_state"))
    assert len(upstream.calls("tools/call")) == 1
    assert not any(required.state.encode() in answer.body for answer in refused.values())


@pytest.mark.requirement("mrtr.once")
async def test_one_of_many_retries_at_once_is_accepted(pair: tuple[Modern, Modern], upstream: ScriptedUpstream) -> None:
    Tool(upstream, [[FORM]])
    workspace = new_id()
    required = InputRequired.of(await call(pair[0], workspace=workspace))

    both = await asyncio.gather(*(call(client, required.answers(ADA), workspace=workspace) for client in pair * 3))

    assert sorted(answer.status for answer in both) == [200, 400, 400, 400, 400, 400]


@pytest.mark.requirement("mrtr.state")
async def test_a_principal_cannot_resume_the_call_of_another(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    tokens = [{"name": name, "token": f"token-of-{name}-of-the-tests"} for name in ("ada", "bob")]
    config = shared_backing.config(entry(upstream.url), core={"auth": {"enabled": True, "tokens": tokens}})
    heads = [{"Authorization": f"Bearer {one['token']}"} for one in tokens]
    workspace = new_id()
    async with _clients(config) as (client,):
        required = InputRequired.of(await call(client, workspace=workspace, headers=heads[0]))
        foreign = await call(client, required.answers(ADA), workspace=workspace, headers=heads[1])
        own = await call(client, required.answers(ADA), workspace=workspace, headers=heads[0])

    assert (foreign.status, foreign.reason) == (400, "invalid_request_state")
    assert received(own) == [ADA]


async def test_a_call_whose_client_never_retries_is_cancelled(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    tool = Tool(upstream, [[FORM]])
    config = fresh_backing.config(entry(upstream.url), sessions={"input_wait_seconds": 1})
    async with _clients(config) as (client,):
        required = InputRequired.of(await call(client, workspace="late"))
        cancelled = await upstream.until("notifications/cancelled")
        await tool.wait_ended()
        late = await call(client, required.answers(ADA), workspace="late")

    assert cancelled.params["requestId"] == upstream.last("tools/call").message["id"]
    assert (late.status, late.message["error"]["code"], late.reason) == (400, -32602, "invalid_request_state")


async def test_a_client_that_disconnects_from_a_resumed_call_cancels_it(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    working = asyncio.Event()

    class Endless(Tool):
        async def before_end(self, seen: Seen, response: aiohttp.web.StreamResponse) -> None:
            working.set()
            await asyncio.Event().wait()

    Endless(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()
    required = InputRequired.of(await call(first, workspace=workspace))

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as timeout:
            async def disconnect() -> None:
                async with asyncio.timeout(PATIENCE_S):
                    await working.wait()
                timeout.reschedule(0)

            await asyncio.gather(call(second, required.answers(ADA), workspace=workspace), disconnect())
    cancelled = await upstream.until("notifications/cancelled")

    assert cancelled.params["requestId"] == upstream.last("tools/call").message["id"]


@pytest.mark.parametrize(("kind", "body"), [
    ("application/json", '{"error":"invalid_token"}'), ("text/plain", "no"),
    ("application/json", '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no"}}'),
])
async def test_an_http_refusal_of_the_server_reaches_a_client_with_input_capabilities(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream, kind: str, body: str
) -> None:
    headers = {"WWW-Authenticate": 'Bearer scope="more"', "Content-Type": kind}

    async def refuses(seen: Seen) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=401, body=body, headers=headers)

    upstream.behaviours["tools/call"] = refuses
    required = await call(pair[0], workspace=new_id())
    plain = await call(pair[0], workspace=new_id(), meta={CAPABILITIES: {}})

    assert (required.status, required.headers["WWW-Authenticate"]) == (401, 'Bearer scope="more"')
    assert required.body.replace(b'"id":1', b'"id":2') == plain.body
    assert required.headers["Content-Type"] == plain.headers["Content-Type"]


async def test_a_retry_at_the_last_moment_is_accepted_or_refused_but_never_hangs(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Twenty calls are resumed, through the other gateway, just as they time out."""
    Tool(upstream, [[FORM]])
    config = shared_backing.config(entry(upstream.url), sessions={"input_wait_seconds": 1})
    async with _clients(config, 2) as (first, second):
        workspace = new_id()

        async def answered(place: int) -> str:
            required = InputRequired.of(await call(first, workspace=workspace))
            await asyncio.sleep(0.9 + place / 100)
            async with asyncio.timeout(PATIENCE_S):
                answer = await call(second, required.answers(ADA), workspace=workspace)
            return answer.reason if "error" in answer.message else "complete"

        ends = await asyncio.gather(*(answered(place) for place in range(20)))

    assert set(ends) <= {"complete", "call_lost", "invalid_request_state"}
