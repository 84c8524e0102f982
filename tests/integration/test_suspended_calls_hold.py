"""Resources that a suspended call holds, and their release at its end."""

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
from tests.fixtures.server_requests import ADA, FORM, PATIENCE_S, InputRequired, Tool, call, received
from tests.fixtures.upstreams import ScriptedUpstream, Seen


class _Writer(Tool):
    """Tool that writes to the path in its argument when it has its input."""

    async def before_end(self, seen: Seen, response: aiohttp.web.StreamResponse) -> None:
        await asyncio.to_thread(Path(seen.params["arguments"]["path"]).write_bytes, b"written after the answer")


async def test_a_file_written_after_input_requests_becomes_an_artifact(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _Writer(upstream, [[FORM], [FORM]])
    workspace, given = new_id(), {"path": "report.txt"}
    async with connected(shared_backing.config(entry(upstream.url, producer("ask"))), initialize=False) as client:
        modern = Modern(client)
        required = InputRequired.of(await call(modern, workspace=workspace, arguments=given))
        again = InputRequired.of(await call(modern, required.answers(ADA), workspace=workspace, arguments=given))
        ended = await call(modern, again.answers(ADA), workspace=workspace, arguments=given)
        uri = ended.message["result"]["_meta"]["artifact"]["artifact_uri"]
        read = await modern.result("resources/read", {"uri": uri}, headers={"X-Longshore-Workspace": workspace})

    assert len(upstream.calls("tools/call")) == 1
    assert read["contents"][0]["text"] == "written after the answer"


async def test_a_suspended_call_holds_its_session_and_its_files_until_its_end(
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

        required = InputRequired.of(await call(modern, workspace="w", arguments=given))
        during = _held(fresh_backing)
        ended = await call(modern, required.answers(ADA), workspace="w", arguments=given)
        async with asyncio.timeout(PATIENCE_S):
            while any(_held(fresh_backing).values()):
                await asyncio.sleep(0.01)

    assert received(ended) == [ADA]
    assert during == {"leases": 2, "uses": 1, "mailbox": 2}
    assert upstream.last("tools/call").params["arguments"]["path"].endswith("/a.txt")


def _held(backing: Backing) -> dict[str, int]:
    with Redis.from_url(backing.redis_url) as redis:
        counted = {
            kind: sum(redis.zcard(key) for key in redis.scan_iter(f"longshore:{kind}:*")) for kind in ("leases", "uses")
        }
        return {**counted, "mailbox": len(list(redis.scan_iter("longshore:mailbox:*")))}


class _EndingTool(Tool):
    """Tool that ends in the usual way, hangs, or breaks its connection."""

    hangs = False
    breaks = False

    async def before_end(self, seen: Seen, response: aiohttp.web.StreamResponse) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.breaks and seen.request.transport is not None:
            seen.request.transport.abort()


async def _ends(modern: Modern, tool: _EndingTool) -> None:
    required = InputRequired.of(await call(modern, workspace="w"))
    assert received(await call(modern, required.answers(ADA), workspace="w")) == [ADA]


async def _expires(modern: Modern, tool: _EndingTool) -> None:
    InputRequired.of(await call(modern, workspace="w"))


async def _disconnects(modern: Modern, tool: _EndingTool) -> None:
    """Disconnect after the retry, while the tool still runs."""
    tool.hangs = True
    required = InputRequired.of(await call(modern, workspace="w"))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as timeout:
            async def disconnect() -> None:
                async with asyncio.timeout(PATIENCE_S):
                    while len(tool.answers) < 2:     # the first was the call's before
                        await asyncio.sleep(0.01)
                timeout.reschedule(0)

            await asyncio.gather(call(modern, required.answers(ADA), workspace="w"), disconnect())


async def _breaks(modern: Modern, tool: _EndingTool) -> None:
    required = InputRequired.of(await call(modern, workspace="w"))
    tool.breaks = True
    broken = await call(modern, required.answers(ADA), workspace="w")
    assert broken.reason == "upstream_unavailable"


@pytest.mark.parametrize("end_call", [_ends, _expires, _disconnects, _breaks])
@pytest.mark.parametrize("policy", ["per_principal", "per_call"])
async def test_a_call_releases_everything_at_any_end(
    fresh_backing: Backing, upstream: ScriptedUpstream, end_call: Any, policy: str
) -> None:
    tool = _EndingTool(upstream, [[FORM]])
    sessions = {"input_wait_seconds": 2 if end_call is _expires else 300}
    config = fresh_backing.config(entry(upstream.url, sessionless_clients=policy), sessions=sessions)
    runner = public_runner(config, Metrics())
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession() as http:
            modern = Modern(Client(http, f"http://{host}:{port}", "/mcp/files"))
            await _ends(modern, tool)        # the first such call opens resources that the gateway keeps
            assert runner.app is not None
            before = await at_rest(runner.app, fresh_backing.redis_url)
            await end_call(modern, tool)
            await tool.wait_ended()
            left = await left_behind(runner.app, fresh_backing.redis_url, before)
            if policy == "per_call":
                await upstream.until_deleted()
    finally:
        await runner.cleanup()

    assert left == {}


async def test_a_suspended_call_ends_with_its_scope_and_releases_everything(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """An operator ends it; the upstream stream is closed at once, and a late retry is refused."""
    tool = Tool(upstream, [[FORM]])
    runner = public_runner(fresh_backing.config(entry(upstream.url)), Metrics())
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as http:
            app, modern = runner.app, Modern(Client(http, f"http://127.0.0.1:{runner.addresses[0][1]}", "/mcp/files"))
            first = InputRequired.of(await call(modern, workspace="w"))
            assert received(await call(modern, first.answers(ADA), workspace="w")) == [ADA]
            before = await at_rest(app, fresh_backing.redis_url)
            required = InputRequired.of(await call(modern, workspace="w"))
            with Redis.from_url(fresh_backing.redis_url) as redis:
                boxes = [key.decode() for key in redis.scan_iter("longshore:mailbox:*")]
            scope = {key.removeprefix("longshore:mailbox:").split(":")[0] for key in boxes}.pop()
            await app[SESSIONS].end(Caller(scope, "files", principal=""), reason="an operator ended it")
            cancelled = await upstream.until("notifications/cancelled")
            await tool.wait_ended()
            left = await left_behind(app, fresh_backing.redis_url, before)
            late = await call(modern, required.answers(ADA), workspace="w")
    finally:
        await runner.cleanup()

    assert cancelled.params["requestId"] == upstream.calls("tools/call")[1].message["id"]
    assert left == {}
    assert (late.status, late.reason) == (400, "invalid_request_state")


async def test_calls_above_the_limit_of_suspended_calls_per_principal_are_refused(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    tool = Tool(upstream, [[FORM]])
    config = fresh_backing.config(entry(upstream.url), sessions={"max_waiting_calls_per_principal": 2})
    async with connected(config, initialize=False) as client:
        modern = Modern(client)
        required = [InputRequired.of(await call(modern, workspace=name)) for name in ("a", "b")]
        refused = await call(modern, workspace="c")
        cancelled = await upstream.until("notifications/cancelled")
        ended = [await call(modern, one.answers(ADA), workspace=name) for one, name in zip(required, "ab", strict=True)]
        after = InputRequired.of(await call(modern, workspace="c"))
        assert received(await call(modern, after.answers(ADA), workspace="c")) == [ADA]
        await tool.wait_ended()

    assert (refused.status, refused.message["error"]["code"], refused.reason) == (429, -32000, "too_many")
    assert cancelled.params["requestId"] == upstream.calls("tools/call")[2].message["id"]
    assert [received(one) for one in ended] == [[ADA], [ADA]]


async def test_a_resumed_call_frees_its_slot_at_once(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The slot does not wait for the notification by Redis."""
    Tool(upstream, [[FORM]])
    config = shared_backing.config(entry(upstream.url), sessions={"max_waiting_calls_per_principal": 1})
    workspace = new_id()
    async with connected(config, initialize=False) as client:
        modern = Modern(client)
        for _ in range(20):
            required = InputRequired.of(await call(modern, workspace=workspace))
            assert received(await call(modern, required.answers(ADA), workspace=workspace)) == [ADA]


async def test_the_timeout_of_a_tool_is_paused_while_its_call_is_suspended(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _Hanging(upstream, [[FORM]])
    config = shared_backing.config(entry(upstream.url, tool_defaults={"tool_call_timeout_seconds": 2}))
    workspace = new_id()
    async with connected(config, initialize=False) as client:
        required = InputRequired.of(await call(Modern(client), workspace=workspace))
        over = await call(Modern(client), workspace=new_id(), tool="hangs")
        ended = await call(Modern(client), required.answers(ADA), workspace=workspace)

    assert over.reason == "upstream_timeout"
    assert received(ended) == [ADA]


class _Hanging(Tool):
    """Tool that requests input, or under the name `hangs` never responds."""

    async def called(self, seen: Seen) -> aiohttp.web.StreamResponse:
        if seen.params["name"] == "hangs":
            await asyncio.Event().wait()
        return await super().called(seen)


async def test_a_gateway_that_stops_cancels_its_suspended_calls(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    tool = Tool(upstream, [[FORM]])
    config: Config = fresh_backing.config(entry(upstream.url))
    async with aiohttp.ClientSession() as http, gateway(config) as other:
        async with gateway(config) as stopping:
            required = InputRequired.of(await call(Modern(Client(http, stopping, "/mcp/files")), workspace="w"))
        await tool.wait_ended()
        lost = await call(Modern(Client(http, other, "/mcp/files")), required.answers(ADA), workspace="w")

    assert (lost.status, lost.reason) == (200, "call_lost")
