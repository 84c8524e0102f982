"""Connections to Redis: resolution of the current master, and opening of streams."""

import asyncio
from dataclasses import replace

import hiredis
import structlog

from longshore.shared.backoff import Backoff
from longshore.shared.errors import StoreDown
from longshore.shared.redis.address import RedisAddress, Sentinels, UnsuitableRedis, login

log = structlog.get_logger(__name__)

CONNECT_S = 5.0
BACKOFF = Backoff(0.02, 0.1, 0.5, 1.0)
_SENTINEL_S = 1.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def resolve_address(address: RedisAddress, *, attempt: int = 0) -> RedisAddress:
    """Return `address`, or the master that Sentinel names now. Raises StoreDown when no sentinel names one.

    Each `attempt` starts with another sentinel: one that is cut off from the others may name an old master.
    """
    sentinels = address.sentinels
    if sentinels is None:
        return address
    first = attempt % len(sentinels.hosts)
    for host, port in (*sentinels.hosts[first:], *sentinels.hosts[:first]):
        try:
            async with asyncio.timeout(_SENTINEL_S):
                sentinel = replace(address, host=host, port=port, unix_path="", sentinels=None)
                found = await _query_sentinel(sentinel, sentinels)
        except (OSError, TimeoutError, EOFError, hiredis.ReplyError, hiredis.ProtocolError) as err:
            log.warning("sentinel_failed", sentinel=f"{host}:{port}", error=type(err).__name__)
            continue
        if found is not None:
            return replace(address, host=found[0], port=found[1], unix_path="", sentinels=None)
    raise StoreDown("no sentinel names a Redis to use; try again shortly")


async def open_streams(address: RedisAddress) -> Streams:
    """Connect to a server that `resolve_address` has returned. Raises OSError, UnsuitableRedis."""
    if address.unix_path:
        return await asyncio.open_unix_connection(address.unix_path)
    return await asyncio.open_connection(address.host, address.port, ssl=address.ssl_context())


async def _query_sentinel(sentinel: RedisAddress, sentinels: Sentinels) -> tuple[str, int] | None:
    """Return the master's address from one sentinel; None when it knows no master of that name."""
    reader, writer = await open_streams(sentinel)
    try:
        commands: list[tuple[str, ...]] = [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.master_name)]
        if (auth := login(sentinels.username, sentinels.password)) is not None:
            commands.insert(0, auth)
        writer.write(b"".join(map(hiredis.pack_command, commands)))  # type: ignore[arg-type]
        replies = hiredis.Reader()
        for command in commands:
            reply = await _read_reply(reader, replies)
            if isinstance(reply, hiredis.ReplyError):
                raise _error_of_reply(reply) from None
            if command[0] == "SENTINEL":
                return (reply[0].decode(), int(reply[1])) if isinstance(reply, list) else None
        return None
    finally:
        writer.close()


async def _read_reply(reader: asyncio.StreamReader, replies: hiredis.Reader) -> object:
    while (reply := replies.gets()) is False:
        data = await reader.read(4096)
        if not data:
            raise EOFError
        replies.feed(data)
    return reply


def _error_of_reply(reply: hiredis.ReplyError) -> Exception:
    code = str(reply).split(" ", 1)[0]
    if code in ("WRONGPASS", "NOAUTH", "NOPERM"):
        return UnsuitableRedis(f"Sentinel refuses the user or password of state_persistence.redis.sentinel ({code})")
    return reply
