"""A client whose Redis was lost comes back with its old session id: its files are there, its tools work."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from redis import Redis

from longshore.shared.keys import Keys
from tests.fixtures.gateway import Backing, Client, connected, consumer, entry
from tests.fixtures.processes import LONGSHORE, run
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result

_KEYS = Keys("longshore")


@contextmanager
def _lost(backing: Backing) -> Iterator[Redis]:
    """Redis forgets everything, and a worker starts."""
    with Redis.from_url(backing.redis_url) as redis:
        redis.flushall()
        argv: list[str | Path] = [
            *LONGSHORE, "worker", "--config", backing.folder / "worker.yaml", "--admin-port", "0",
        ]
        with run(argv, folder=backing.folder):
            yield redis


async def _reconciled(client: Client) -> dict[str, object]:
    """Return the response of /healthz once the pass is over."""
    async with asyncio.timeout(20):
        while True:
            async with client.http.get(f"{client.base}/healthz") as answer:
                found: dict[str, object] = msgspec.json.decode(await answer.read())["startup_reconciliation"]
            if found["status"] == "done":
                return found
            assert found["status"] in ("pending", "running")
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("keeps_sessions", [True, False])
async def test_a_client_goes_on_with_the_session_it_had(
    fresh_backing: Backing, upstream: ScriptedUpstream, keeps_sessions: bool
) -> None:
    if not keeps_sessions:
        _keep_none(upstream)
    config = fresh_backing.config(entry(upstream.url, consumer("read"), id="none", mount_path="/mcp/none"))
    async with connected(config) as client:
        handle = await client.upload_one("a.txt", b"kept")
        handshakes = len(upstream.calls("initialize"))
        with _lost(fresh_backing):
            health = await _reconciled(client)

            called = await asyncio.gather(*(client.call("read", {"path": handle}) for _ in range(3)))
            tools = await client.result("tools/list")

    assert (health["restored_uploads"], health["unattributed"], health["mode"]) == (1, 0, "if_empty")
    assert all(not answer.get("isError") for answer in called)
    path = upstream.last("tools/call").params["arguments"]["path"]
    assert path.endswith("/a.txt")
    assert len(upstream.calls("initialize")) == handshakes + 1
    assert {"read", "none_get_upload_url"} <= {tool["name"] for tool in tools["tools"]}
    assert ("Mcp-Session-Id" in upstream.last("tools/call").request.headers) == keeps_sessions


def _keep_none(upstream: ScriptedUpstream) -> None:
    async def initialize(seen: Seen) -> web.Response:
        info = {"name": "scripted", "version": "7"}
        settled = {"protocolVersion": "2025-11-25", "capabilities": upstream.capabilities, "serverInfo": info}
        return web.Response(body=msgspec.json.encode(result(seen, settled)), content_type="application/json")

    upstream.behaviours["initialize"] = initialize


async def test_the_first_who_presents_the_id_has_the_session_and_nobody_else(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    networks = {"core": {"trusted_proxies": ["127.0.0.1"]}}
    server = entry(upstream.url, consumer("read"), id="none", mount_path="/mcp/none")
    config = fresh_backing.config(server, **networks)
    async with connected(config) as client:
        await client.upload_one("a.txt", b"kept")
        with _lost(fresh_backing) as redis:
            await _reconciled(client)
            session = _KEYS.session(client.session_id)
            before = redis.hmget(session, ["state", "principal"])

            first = await client.request("tools/list", headers={"X-Forwarded-For": "10.0.0.1"})
            second = await client.request("tools/list", headers={"X-Forwarded-For": "10.0.0.2"})
            after = redis.hmget(session, ["state", "principal"])

    assert before == [b"expired", b""]
    assert (first.status, second.status) == (200, 409)
    assert after == [b"live", b"anonymous@10.0.0.1"]


async def test_a_restored_session_can_be_ended_by_who_knows_its_id(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = fresh_backing.config(entry(upstream.url, consumer("read"), id="none", mount_path="/mcp/none"))
    async with connected(config) as client:
        await client.upload_one("a.txt", b"kept")
        with _lost(fresh_backing):
            await _reconciled(client)

            status = await client.delete()

            async with asyncio.timeout(10):
                while fresh_backing.stored():
                    await asyncio.sleep(0.05)
            again = await client.request("tools/list")

    assert status in (200, 202, 204)
    assert again.status == 404


async def test_health_says_when_nothing_is_to_be_reconciled(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    state = {"type": "redis", "redis": {"url": fresh_backing.redis_url}, "reconciliation": {"mode": "disabled"}}
    config = fresh_backing.config(entry(upstream.url), state_persistence=state)

    async with connected(config) as client, client.http.get(f"{client.base}/healthz") as answer:
        body = msgspec.json.decode(await answer.read())

    assert body["startup_reconciliation"] == {"status": "disabled"}
