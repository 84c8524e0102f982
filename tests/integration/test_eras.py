"""The era of an upstream is probed once for all gateways, again after a contradiction, and with backoff."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from longshore.shared.version import OWN_INFO
from tests.fixtures.change_streams import WITHIN_S, without_sessions
from tests.fixtures.gateway import Backing, Client, connected, entry, gateway
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result

_VERSION = "2026-07-28"


async def _lists(seen: Seen) -> dict[str, Any]:
    return result(seen, {"resultType": "complete", "tools": [], "ttlMs": 0, "cacheScope": "private"})


async def _discovers(seen: Seen) -> dict[str, Any]:
    return result(seen, {
        "resultType": "complete", "supportedVersions": [_VERSION], "capabilities": {}, "ttlMs": 0,
        "cacheScope": "private",
    })


async def test_a_gateway_uses_the_era_that_another_gateway_probed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url), state_persistence=shared_backing.own_keys("eras-told"))
    async with connected(config, initialize=False) as client:
        await Modern(client).result("tools/list")
    asked = len(upstream.calls("server/discover"))
    async with connected(config, initialize=False) as client, gateway(config) as third:
        await Modern(client).result("tools/list")
        await Modern(Client(client.http, third, client.mount)).result("tools/list")

    assert (asked, len(upstream.calls("server/discover"))) == (1, 1)


async def test_an_upstream_learns_the_name_and_version_of_longshore(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url), state_persistence=shared_backing.own_keys("eras-info"))
    async with connected(config, initialize=False) as client:
        await Modern(client).result("tools/list")

    probe, discovery = upstream.calls("initialize")[0], upstream.calls("server/discover")[0]
    assert probe.params["clientInfo"] == OWN_INFO
    assert discovery.params["_meta"]["io.modelcontextprotocol/clientInfo"] == OWN_INFO


@pytest.mark.parametrize("status", [503, 401])
async def test_a_server_that_does_not_say_is_left_alone_for_a_moment(
    shared_backing: Backing, upstream: ScriptedUpstream, status: int
) -> None:
    """Clients get an error meanwhile; then it is probed again."""
    is_up = False

    async def says(seen: Seen) -> web.Response | dict[str, Any]:
        return await _discovers(seen) if is_up else web.Response(status=status)

    upstream.behaviours |= {"server/discover": says, "tools/list": _lists}
    own = shared_backing.own_keys(f"eras-silent-{status}")
    async with connected(shared_backing.config(entry(upstream.url), state_persistence=own), initialize=False) as client:
        modern = Modern(client)
        refused = [await modern.request("tools/list") for _ in range(20)]
        asked = len(upstream.calls("server/discover"))
        is_up = True
        async with asyncio.timeout(WITHIN_S):
            while "result" not in (answer := await modern.request("tools/list")).message:
                await asyncio.sleep(0.02)

    assert {refusal.reason for refusal in refused} == {"upstream_unavailable"}
    assert asked < 10
    assert answer.message["result"]["tools"] == []


async def test_a_server_that_has_sessions_since_is_found_out_by_the_request_that_it_refuses(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """And the other way round. The client does not notice."""
    own = shared_backing.own_keys("eras-replaced")
    config = shared_backing.config(entry(upstream.url), state_persistence=own)
    usual = dict(upstream.behaviours)

    async def has_sessions(seen: Seen) -> web.Response:
        error = {"code": -32600, "message": "Bad Request: Unsupported protocol version"}
        return web.json_response({"jsonrpc": "2.0", "id": None, "error": error}, status=400)

    async with connected(config, initialize=False) as client:
        await Modern(client).result("tools/list")
    without_sessions(upstream)
    async with connected(config, initialize=False) as client:     # which heard that it has sessions
        await Modern(client).result("tools/list")
        by_then = len(upstream.calls("server/discover"))
    upstream.behaviours.clear()
    upstream.behaviours |= usual

    async def lists(seen: Seen) -> web.Response | dict[str, Any]:
        if "Mcp-Session-Id" not in seen.request.headers:
            return await has_sessions(seen)
        return result(seen, {"tools": []})

    upstream.behaviours["tools/list"] = lists
    async with connected(config, initialize=False) as client:     # which heard that it has none
        listed = await Modern(client).result("tools/list")

    assert by_then >= 2
    assert listed["tools"] == []
