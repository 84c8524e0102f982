"""Clients of the modern revision that a server of the legacy revisions asks something in mid-call."""

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
    Asked,
    Tool,
    call,
    event,
    said,
)
from tests.fixtures.upstreams import ScriptedUpstream, Seen

_SAMPLED = {"role": "assistant", "content": {"type": "text", "text": "hm"}, "model": "m"}
_ROOTED = {"roots": [{"uri": "file:///home"}]}


@asynccontextmanager
async def _clients(config: Config, count: int = 1) -> AsyncIterator[list[Modern]]:
    """A client of each of so many gateways."""
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        bases = [await stack.enter_async_context(gateway(config)) for _ in range(count)]
        yield [Modern(Client(http, base, "/mcp/files")) for base in bases]


@pytest.fixture(params=["here", "elsewhere"])
async def pair(
    request: pytest.FixtureRequest, shared_backing: Backing, upstream: ScriptedUpstream
) -> AsyncIterator[tuple[Modern, Modern]]:
    """The gateway that a call begins at, and the one that is asked next: the same, or another one."""
    count = 1 if request.param == "here" else 2
    async with _clients(shared_backing.config(entry(upstream.url, producer("write"))), count) as clients:
        yield clients[0], clients[-1]


async def test_a_question_becomes_an_answer_and_the_call_goes_on_with_the_clients(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()

    asked = Asked.by(await call(first, workspace=workspace))
    ended = await call(second, asked.answers(ADA), workspace=workspace)

    assert list(asked.requests.values()) == [FORM]
    assert said(ended) == [ADA]
    assert ended.message["id"] == second.last_id
    assert len(upstream.calls("tools/call")) == 1
    assert "inputResponses" not in upstream.last("tools/call").params


async def test_a_server_learns_what_its_client_takes_and_no_more(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    """Clients that declare other things have other sessions there; their files are the same."""
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
async def test_several_questions_at_once_and_several_rounds(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM, SAMPLE], [ROOTS]])
    first, second = pair
    workspace = new_id()

    asked = Asked.by(await call(first, workspace=workspace))
    again = Asked.by(await call(second, asked.answers(ADA, _SAMPLED), workspace=workspace))
    ended = await call(first, again.answers(_ROOTED), workspace=workspace)

    assert asked.methods == ["elicitation/create", "sampling/createMessage"]
    assert again.methods == ["roots/list"]
    assert asked.state != again.state
    assert said(ended) == [ADA, _SAMPLED, _ROOTED]


async def test_what_was_not_answered_is_asked_again(pair: tuple[Modern, Modern], upstream: ScriptedUpstream) -> None:
    Tool(upstream, [[FORM, SAMPLE]])
    first, second = pair
    workspace = new_id()

    asked = Asked.by(await call(first, workspace=workspace))
    foreign = {"inputResponses": {"nobody asked": {}}, "requestState": asked.state}
    still = Asked.by(await call(second, foreign, workspace=workspace))
    rest = Asked.by(await call(second, still.answers(ADA), workspace=workspace))
    ended = await call(first, rest.answers(_SAMPLED), workspace=workspace)

    assert still.requests == asked.requests
    assert rest.methods == ["sampling/createMessage"]
    assert said(ended) == [ADA, _SAMPLED]


class _Slow(Tool):
    """Tells of its progress, under the token of the request that began it, before it ends."""

    async def before_end(self, seen: Seen, response: aiohttp.web.StreamResponse) -> None:
        params = {"progressToken": seen.params["_meta"]["progressToken"], "progress": 1}
        await response.write(event({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))


async def test_progress_comes_under_the_token_of_the_request_that_waits(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    _Slow(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()

    asked = Asked.by(await call(first, workspace=workspace, meta={"progressToken": "one"}))
    ended = await call(second, asked.answers(ADA), workspace=workspace, meta={"progressToken": 2})
    asked = Asked.by(await call(first, workspace=workspace, meta={"progressToken": "one"}))
    silent = await call(second, asked.answers(ADA), workspace=workspace)

    events = [msgspec.json.decode(line[5:]) for line in ended.body.split(b"\n") if line.startswith(b"data:")]
    assert [one.get("params", {}).get("progressToken") for one in events] == [2, None]
    assert said(ended) == said(silent) == [ADA]
    assert silent.headers["Content-Type"].startswith("application/json")


async def test_a_large_result_comes_whole(pair: tuple[Modern, Modern], upstream: ScriptedUpstream) -> None:
    """Larger than all that may wait between two gateways."""
    large = "".join(map(str, range(1_500_000)))
    Tool(upstream, [[FORM]], more=large)
    first, second = pair
    workspace = new_id()

    asked = Asked.by(await call(first, workspace=workspace))
    ended = await call(second, asked.answers(ADA), workspace=workspace)

    assert said(ended) == [ADA]
    assert ended.message["result"]["content"][1]["text"] == large


@pytest.mark.requirement("mrtr.declared")
async def test_a_client_that_lacks_the_capability_is_not_asked_and_its_call_goes_on(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    ping, strange = {"method": "ping"}, {"method": "tasks/get", "params": {"taskId": "t"}}
    by_url = {"method": "elicitation/create", "params": {"mode": "url", "url": "https://x.example", "message": "m"}}
    with_tools = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5, "tools": []}}
    Tool(upstream, [[FORM, by_url, SAMPLE, with_tools, ROOTS, ping, strange]])
    some: dict[str, Any] = {CAPABILITIES: {"elicitation": {"form": {}}, "sampling": {}}}

    plain = said(await call(pair[0], workspace=new_id(), meta={CAPABILITIES: {}}))
    asked = Asked.by(await call(pair[0], workspace=new_id(), meta=some))

    assert [one.get("code") for one in plain] == [-32601] * 5 + [None, -32601]
    assert plain[5] == {}
    assert asked.methods == ["elicitation/create", "sampling/createMessage"]


async def test_a_call_that_its_server_ends_meanwhile_has_that_as_its_answer(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    tool = Tool(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()

    asked = Asked.by(await call(first, workspace=workspace))
    await tool.answered(Seen(upstream.seen[-1].request, b"", _own_answer(upstream)))    # it helped itself
    await tool.until_left()
    ended = await call(second, asked.answers(ADA), workspace=workspace)

    assert said(ended) == [{"action": "cancel"}]


def _own_answer(upstream: ScriptedUpstream) -> dict[str, Any]:
    return {"id": f"{upstream.last('tools/call').message['id']}-0-0", "result": {"action": "cancel"}}


@pytest.mark.parametrize("given", [
    {"inputResponses": [], "requestState": "x"}, {"inputResponses": {"1": 7}, "requestState": "x"},
    {"requestState": 7},
])
async def test_a_malformed_round_is_refused(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream, given: dict[str, Any]
) -> None:
    answer = await call(pair[0], given, workspace=new_id())

    assert (answer.status, answer.message["error"]["code"], answer.reason) == (400, -32602, "invalid_params")
    assert upstream.calls("tools/call") == []


@pytest.mark.requirement("mrtr.state", "mrtr.once")
async def test_a_state_is_good_for_its_caller_its_request_its_time_and_once(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    first, second = pair
    workspace = new_id()
    asked = Asked.by(await call(first, workspace=workspace))
    middle = len(asked.state) // 2
    changed = asked.state[:middle] + ("A" if asked.state[middle] != "A" else "B") + asked.state[middle + 1:]
    refused = {
        "forged": await call(second, {**asked.answers(ADA), "requestState": changed}, workspace=workspace),
        "longer": await call(second, {**asked.answers(ADA), "requestState": asked.state + "A"}, workspace=workspace),
        "nonsense": await call(second, {**asked.answers(ADA), "requestState": "{}"}, workspace=workspace),
        "another workspace": await call(second, asked.answers(ADA), workspace=new_id()),
        "another tool": await call(second, asked.answers(ADA), workspace=workspace, tool="echo"),
        "other arguments": await call(second, asked.answers(ADA), workspace=workspace, arguments={"a": 1}),
    }
    assert said(await call(second, asked.answers(ADA), workspace=workspace)) == [ADA]
    refused["replayed here"] = await call(first, asked.answers(ADA), workspace=workspace)
    refused["replayed there"] = await call(second, asked.answers(ADA), workspace=workspace)

    found = {name: (answer.status, answer.message["error"]["code"], answer.reason) for name, answer in refused.items()}
    assert found == dict.fromkeys(refused, (400, -32602, "invalid_request_state"))
    assert len(upstream.calls("tools/call")) == 1
    assert not any(asked.state.encode() in answer.body for answer in refused.values())


@pytest.mark.requirement("mrtr.once")
async def test_one_of_two_answers_at_once_counts(pair: tuple[Modern, Modern], upstream: ScriptedUpstream) -> None:
    Tool(upstream, [[FORM]])
    workspace = new_id()
    asked = Asked.by(await call(pair[0], workspace=workspace))

    both = await asyncio.gather(*(call(client, asked.answers(ADA), workspace=workspace) for client in pair * 3))

    assert sorted(answer.status for answer in both) == [200, 400, 400, 400, 400, 400]


@pytest.mark.requirement("mrtr.state")
async def test_a_principal_goes_on_with_no_call_of_another(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    tokens = [{"name": name, "token": f"token-of-{name}-of-the-tests"} for name in ("ada", "bob")]
    config = shared_backing.config(entry(upstream.url), core={"auth": {"enabled": True, "tokens": tokens}})
    heads = [{"Authorization": f"Bearer {one['token']}"} for one in tokens]
    workspace = new_id()
    async with _clients(config) as (client,):
        asked = Asked.by(await call(client, workspace=workspace, headers=heads[0]))
        foreign = await call(client, asked.answers(ADA), workspace=workspace, headers=heads[1])
        own = await call(client, asked.answers(ADA), workspace=workspace, headers=heads[0])

    assert (foreign.status, foreign.reason) == (400, "invalid_request_state")
    assert said(own) == [ADA]


async def test_a_client_that_never_answers_has_its_call_cancelled(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    tool = Tool(upstream, [[FORM]])
    config = fresh_backing.config(entry(upstream.url), sessions={"input_wait_seconds": 1})
    async with _clients(config) as (client,):
        asked = Asked.by(await call(client, workspace="late"))
        cancelled = await upstream.until("notifications/cancelled")
        await tool.until_left()
        late = await call(client, asked.answers(ADA), workspace="late")

    assert cancelled.params["requestId"] == upstream.last("tools/call").message["id"]
    assert (late.status, late.message["error"]["code"], late.reason) == (400, -32602, "invalid_request_state")


async def test_a_client_that_leaves_after_it_answered_cancels_its_call(
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
    asked = Asked.by(await call(first, workspace=workspace))

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as leaving:
            async def leave() -> None:
                async with asyncio.timeout(PATIENCE_S):
                    await working.wait()
                leaving.reschedule(0)

            await asyncio.gather(call(second, asked.answers(ADA), workspace=workspace), leave())
    cancelled = await upstream.until("notifications/cancelled")

    assert cancelled.params["requestId"] == upstream.last("tools/call").message["id"]


@pytest.mark.parametrize(("kind", "body"), [
    ("application/json", '{"error":"invalid_token"}'), ("text/plain", "no"),
    ("application/json", '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no"}}'),
])
async def test_a_refusal_of_the_server_reaches_a_client_that_could_be_asked(
    pair: tuple[Modern, Modern], upstream: ScriptedUpstream, kind: str, body: str
) -> None:
    headers = {"WWW-Authenticate": 'Bearer scope="more"', "Content-Type": kind}

    async def refuses(seen: Seen) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=401, body=body, headers=headers)

    upstream.behaviours["tools/call"] = refuses
    asked = await call(pair[0], workspace=new_id())
    plain = await call(pair[0], workspace=new_id(), meta={CAPABILITIES: {}})

    assert (asked.status, asked.headers["WWW-Authenticate"]) == (401, 'Bearer scope="more"')
    assert asked.body.replace(b'"id":1', b'"id":2') == plain.body
    assert asked.headers["Content-Type"] == plain.headers["Content-Type"]


async def test_an_answer_at_the_last_moment_counts_or_is_refused_but_never_hangs(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Twenty calls are answered, through the other gateway, just as their time runs out."""
    Tool(upstream, [[FORM]])
    config = shared_backing.config(entry(upstream.url), sessions={"input_wait_seconds": 1})
    async with _clients(config, 2) as (first, second):
        workspace = new_id()

        async def answered(place: int) -> str:
            asked = Asked.by(await call(first, workspace=workspace))
            await asyncio.sleep(0.9 + place / 100)
            async with asyncio.timeout(PATIENCE_S):
                answer = await call(second, asked.answers(ADA), workspace=workspace)
            return answer.reason if "error" in answer.message else "complete"

        ends = await asyncio.gather(*(answered(place) for place in range(20)))

    assert set(ends) <= {"complete", "call_lost", "invalid_request_state"}
