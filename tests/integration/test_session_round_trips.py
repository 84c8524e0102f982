"""Round trips of calls to Redis, counted by Redis' own monitor. Commands inside a script do not count."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from tests.fixtures.gateway import Backing, connected, consumer, entry
from tests.fixtures.upstreams import ScriptedUpstream

_END = "that-is-all"


async def _commands(url: str, session_id: str, act: Callable[[], Awaitable[object]]) -> list[str]:
    """Return the commands about this session that clients of Redis send during `act` and just after."""
    asked: list[str] = []
    async with Redis.from_url(url) as redis, redis.monitor() as monitor:
        await act()
        await redis.echo(_END)
        async with asyncio.timeout(20):
            while True:
                seen = await monitor.next_command()
                if _END in seen["command"]:
                    return asked
                if seen["client_type"] != "lua" and session_id in seen["command"]:
                    asked.append(seen["command"].split(" ", 1)[0])


async def test_a_call_is_one_round_trip_and_a_release(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """One script validates, binds, leases and touches; the release of the lease is not waited for."""
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        await client.call("echo")

        asked = await _commands(shared_backing.redis_url, client.session_id, lambda: client.call("echo"))

    assert asked == ["EVALSHA", "ZREM"]


async def test_a_call_with_files_is_one_round_trip_more(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """All its files are fetched, touched and held together, and released together."""
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        handles = [await client.upload_one(f"{n}.txt", b"x") for n in range(3)]
        await client.call("read", {"path": handles})

        asked = await _commands(
            shared_backing.redis_url, client.session_id, lambda: client.call("read", {"path": handles})
        )

    assert asked == ["EVALSHA", "EVALSHA", "ZREM", "ZREM"]


async def test_notifications_take_no_lease(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        notice = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
        await client.post(notice)

        asked = await _commands(shared_backing.redis_url, client.session_id, lambda: client.post(notice))

    assert asked == ["EVALSHA"]
