"""Listeners at two gateways, of both eras before servers of the other: the one that holds the server's stream dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
from mcp.client.client import Client
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from redis import Redis

from longshore.shared.keys import Keys
from tests.e2e import wire
from tests.e2e.stack import Gateway, Stack, server, stack
from tests.fixtures.change_streams import VERSION, WITHIN_S, Stream, listening
from tests.fixtures.everything_server import Era, everything_server

_WATCHED = "test://watched-resource"
_TOLD = {ToolsListChanged(), ResourceUpdated(uri=_WATCHED)}


@asynccontextmanager
async def _two_gateways(folder: Path, era: Era) -> AsyncIterator[tuple[Stack, Gateway, Gateway]]:
    async with AsyncExitStack() as running:
        url = await running.enter_async_context(everything_server(folder, era))
        made = running.enter_context(stack(folder, [server("fixture", url)]))
        made.start_worker()
        first, second = await asyncio.gather(made.start_gateway(), made.start_gateway())
        yield made, first, second


async def test_who_listens_goes_on_when_the_gateway_that_did_so_for_all_is_killed(tmp_path: Path) -> None:
    """Another one takes the legacy server's stream over, says that something may have been missed, and hands on
    what the server tells from then on."""
    async with (
        _two_gateways(tmp_path, "legacy") as (made, first, second),
        aiohttp.ClientSession() as http,
        listening(http, first.mount("fixture"), toolsListChanged=True) as dies,
    ):
        await dies.message()
        async with (
            Client(second.mount("fixture"), mode=VERSION) as client,
            client.listen(tools_list_changed=True, resource_subscriptions=[_WATCHED]) as stays,
            asyncio.timeout(2 * WITHIN_S),
        ):
            await client.call_tool("test_announcements")
            before = {await anext(stays) for _ in _TOLD}
            holders = _holders(made)
            first.process.kill()
            missed = {await anext(stays) for _ in _TOLD}
            await client.call_tool("test_announcements")
            after = {await anext(stays) for _ in _TOLD}
            holders_now = _holders(made)

    assert before == missed == after == _TOLD
    assert len(holders) == len(holders_now) == 1
    assert holders != holders_now


def _holders(made: Stack) -> set[bytes]:
    """The gateways that hold streams of changes."""
    with Redis.from_url(made.redis_url) as redis:
        found = [redis.hget(key, "holder") for key in redis.scan_iter(Keys("longshore").feed("*"))]
    return {holder for holder in found if isinstance(holder, bytes)}


async def test_a_sessions_stream_goes_on_at_another_gateway(tmp_path: Path) -> None:
    """With what the session had subscribed to at the one that was killed."""
    async with _two_gateways(tmp_path, "modern") as (_, first, second), aiohttp.ClientSession() as http:
        session = await wire.open_session(http, first.mount("fixture"))
        headers = {**session.headers, "Accept": "text/event-stream"}
        told: list[list[str]] = []
        async with asyncio.timeout(2 * WITHIN_S):
            async with http.get(first.mount("fixture"), headers=headers) as standing:
                subscribe = {"jsonrpc": "2.0", "id": 5, "method": "resources/subscribe", "params": {"uri": _WATCHED}}
                async with wire.post(http, second.mount("fixture"), subscribe, session.headers) as answer:
                    assert answer.status == 200
                await session.tool(second.mount("fixture"), "test_announcements", 6)
                told.append(sorted(await Stream(standing).methods(4)))
            first.process.kill()
            async with http.get(second.mount("fixture"), headers=headers) as standing:
                told.append(sorted(await Stream(standing).methods(4)))       # what may have been missed
                await session.tool(second.mount("fixture"), "test_announcements", 7)
                told.append(sorted(await Stream(standing).methods(4)))

    assert told == [[
        "prompts/list_changed", "resources/list_changed", "resources/updated", "tools/list_changed",
    ]] * 3
