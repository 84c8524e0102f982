"""What a call holds while it waits for its client, and that nothing of it is left in the end."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis import Redis

from longshore.gateway.app import public_runner
from longshore.gateway.appkeys import SESSIONS
from longshore.shared.config import Config
from longshore.shared.ids import new_id
from longshore.shared.metrics import Metrics
from longshore.shared.state.sessions import Caller
from tests.fixtures.gateway import Backing, Client, connected, consumer, entry, gateway, producer
from tests.fixtures.leaks import at_rest, left_behind
from tests.fixtures.modern import Modern
from tests.fixtures.server_requests import ADA, FORM, PATIENCE_S, Asked, Tool, call, said
from tests.fixtures.upstreams import ScriptedUpstream, Seen


class _Writer(Tool):
    """Writes its answers to the path in its argument when it has them."""

    async def before_end(self, seen: Seen, response: aiohttp.web.StreamResponse) -> None:
        await asyncio.to_thread(Path(seen.params["arguments"]["path"]).write_bytes, b"written after the answer")


async def test_a_file_is_written_to_the_path_that_the_call_got_before_its_question(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _Writer(upstream, [[FORM], [FORM]])
    workspace, given = new_id(), {"path": "report.txt"}
    async with connected(shared_backing.config(entry(upstream.url, producer("ask"))), initialize=False) as client:
        modern = Modern(client)
        asked = Asked.by(await call(modern, workspace=workspace, arguments=given))
        again = Asked.by(await call(modern, asked.answers(ADA), workspace=workspace, arguments=given))
        ended = await call(modern, again.answers(ADA), workspace=workspace, arguments=given)
        uri = ended.message["result"]["_meta"]["artifact"]["artifact_uri"]
        read = await modern.result("resources/read", {"uri": uri}, headers={"X-Longshore-Workspace": workspace})

    assert len(upstream.calls("tools/call")) == 1
    assert read["contents"][0]["text"] == "written after the answer"


async def test_a_call_that_waits_holds_its_session_and_its_files_and_nothing_after_it(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    config = fresh_backing.config(entry(upstream.url, consumer("ask")))
    async with connected(config, initialize=False) as client:
        modern = Modern(client)
        head = {"X-Longshore-Workspace": "w"}
        ticket = await modern.result("tools/call", {"name": "files_get_upload_url"}, headers=head)
        uploaded = await client.upload(ticket["structuredContent"]["upload_url"], ("a.txt", b"a"))
        given = {"path": uploaded.message["upload_handle"]}

        asked = Asked.by(await call(modern, workspace="w", arguments=given))
        during = _held(fresh_backing)
        ended = await call(modern, asked.answers(ADA), workspace="w", arguments=given)
        async with asyncio.timeout(PATIENCE_S):
            while any(_held(fresh_backing).values()):
                await asyncio.sleep(0.01)

    assert said(ended) == [ADA]
    assert during == {"leases": 2, "uses": 1, "mailbox": 2}
    assert upstream.last("tools/call").params["arguments"]["path"].endswith("/a.txt")


def _held(backing: Backing) -> dict[str, int]:
    with Redis.from_url(backing.redis_url) as redis:
        counted = {
            kind: sum(redis.zcard(key) for key in redis.scan_iter(f"longshore:{kind}:*")) for kind in ("leases", "uses")
        }
        return {**counted, "mailbox": len(list(redis.scan_iter("longshore:mailbox:*")))}


class _Fickle(Tool):
    """Ends in the usual way, unless it is told not to."""

    lingers = False
    breaks = False

    async def before_end(self, seen: Seen, response: aiohttp.web.StreamResponse) -> None:
        if self.lingers:
            await asyncio.Event().wait()
        if self.breaks and seen.request.transport is not None:
            seen.request.transport.abort()


async def _ends(modern: Modern, tool: _Fickle) -> None:
    asked = Asked.by(await call(modern, workspace="w"))
    assert said(await call(modern, asked.answers(ADA), workspace="w")) == [ADA]


async def _expires(modern: Modern, tool: _Fickle) -> None:
    Asked.by(await call(modern, workspace="w"))


async def _leaves(modern: Modern, tool: _Fickle) -> None:
    """After the answer, while the tool is still at it."""
    tool.lingers = True
    asked = Asked.by(await call(modern, workspace="w"))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as leaving:
            async def leave() -> None:
                async with asyncio.timeout(PATIENCE_S):
                    while len(tool.answers) < 2:     # the first was the call's before
                        await asyncio.sleep(0.01)
                leaving.reschedule(0)

            await asyncio.gather(call(modern, asked.answers(ADA), workspace="w"), leave())


async def _breaks(modern: Modern, tool: _Fickle) -> None:
    asked = Asked.by(await call(modern, workspace="w"))
    tool.breaks = True
    broken = await call(modern, asked.answers(ADA), workspace="w")
    assert broken.reason == "upstream_unavailable"


@pytest.mark.parametrize("way", [_ends, _expires, _leaves, _breaks])
@pytest.mark.parametrize("policy", ["per_principal", "per_call"])
async def test_nothing_is_left_of_a_call_however_it_ends(
    fresh_backing: Backing, upstream: ScriptedUpstream, way: Any, policy: str
) -> None:
    tool = _Fickle(upstream, [[FORM]])
    config = fresh_backing.config(
        entry(upstream.url, sessionless_clients=policy), sessions={"input_wait_seconds": 2 if way is _expires else 300}
    )
    runner = public_runner(config, Metrics())
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession() as http:
            modern = Modern(Client(http, f"http://{host}:{port}", "/mcp/files"))
            await _ends(modern, tool)        # what a gateway keeps from its first such call on, it keeps
            assert runner.app is not None
            before = await at_rest(runner.app, fresh_backing.redis_url)
            await way(modern, tool)
            await tool.until_left()
            left = await left_behind(runner.app, fresh_backing.redis_url, before)
            if policy == "per_call":
                await upstream.until_deleted()
    finally:
        await runner.cleanup()

    assert left == {}


async def test_a_call_that_waits_ends_with_its_scope_and_leaves_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Ended by an operator; the stream at the server is closed at once, and late answers are told so."""
    tool = Tool(upstream, [[FORM]])
    runner = public_runner(fresh_backing.config(entry(upstream.url)), Metrics())
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as http:
            app, modern = runner.app, Modern(Client(http, f"http://127.0.0.1:{runner.addresses[0][1]}", "/mcp/files"))
            first = Asked.by(await call(modern, workspace="w"))
            assert said(await call(modern, first.answers(ADA), workspace="w")) == [ADA]
            before = await at_rest(app, fresh_backing.redis_url)
            asked = Asked.by(await call(modern, workspace="w"))
            with Redis.from_url(fresh_backing.redis_url) as redis:
                boxes = [key.decode() for key in redis.scan_iter("longshore:mailbox:*")]
            scope = {key.removeprefix("longshore:mailbox:").split(":")[0] for key in boxes}.pop()
            await app[SESSIONS].end(Caller(scope, "files", principal=""), reason="an operator ended it")
            cancelled = await upstream.until("notifications/cancelled")
            await tool.until_left()
            left = await left_behind(app, fresh_backing.redis_url, before)
            late = await call(modern, asked.answers(ADA), workspace="w")
    finally:
        await runner.cleanup()

    assert cancelled.params["requestId"] == upstream.calls("tools/call")[1].message["id"]
    assert left == {}
    assert (late.status, late.reason) == (400, "invalid_request_state")


async def test_no_more_calls_of_a_principal_wait_than_are_allowed(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    tool = Tool(upstream, [[FORM]])
    config = fresh_backing.config(entry(upstream.url), sessions={"max_waiting_calls_per_principal": 2})
    async with connected(config, initialize=False) as client:
        modern = Modern(client)
        asked = [Asked.by(await call(modern, workspace=name)) for name in ("a", "b")]
        refused = await call(modern, workspace="c")
        cancelled = await upstream.until("notifications/cancelled")
        ended = [await call(modern, one.answers(ADA), workspace=name) for one, name in zip(asked, "ab", strict=True)]
        after = Asked.by(await call(modern, workspace="c"))
        assert said(await call(modern, after.answers(ADA), workspace="c")) == [ADA]
        await tool.until_left()

    assert (refused.status, refused.message["error"]["code"], refused.reason) == (429, -32000, "too_many")
    assert cancelled.params["requestId"] == upstream.calls("tools/call")[2].message["id"]
    assert [said(one) for one in ended] == [[ADA], [ADA]]


async def test_a_call_that_is_answered_gives_its_place_to_the_next_at_once(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """However late Redis wakes what waited for the answer."""
    Tool(upstream, [[FORM]])
    config = shared_backing.config(entry(upstream.url), sessions={"max_waiting_calls_per_principal": 1})
    workspace = new_id()
    async with connected(config, initialize=False) as client:
        modern = Modern(client)
        for _ in range(20):
            asked = Asked.by(await call(modern, workspace=workspace))
            assert said(await call(modern, asked.answers(ADA), workspace=workspace)) == [ADA]


async def test_the_time_of_a_tool_stands_still_while_its_client_is_asked(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _Hanging(upstream, [[FORM]])
    config = shared_backing.config(entry(upstream.url, tool_defaults={"tool_call_timeout_seconds": 2}))
    workspace = new_id()
    async with connected(config, initialize=False) as client:
        asked = Asked.by(await call(Modern(client), workspace=workspace))
        over = await call(Modern(client), workspace=new_id(), tool="hangs")
        ended = await call(Modern(client), asked.answers(ADA), workspace=workspace)

    assert over.reason == "upstream_timeout"
    assert said(ended) == [ADA]


class _Hanging(Tool):
    """Asks, or under the name of `hangs` says nothing for ever."""

    async def called(self, seen: Seen) -> aiohttp.web.StreamResponse:
        if seen.params["name"] == "hangs":
            await asyncio.Event().wait()
        return await super().called(seen)


async def test_a_gateway_that_stops_gives_its_calls_up(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    tool = Tool(upstream, [[FORM]])
    config: Config = fresh_backing.config(entry(upstream.url))
    async with aiohttp.ClientSession() as http, gateway(config) as other:
        async with gateway(config) as stopping:
            asked = Asked.by(await call(Modern(Client(http, stopping, "/mcp/files")), workspace="w"))
        await tool.until_left()
        lost = await call(Modern(Client(http, other, "/mcp/files")), asked.answers(ADA), workspace="w")

    assert (lost.status, lost.reason) == (200, "call_lost")
