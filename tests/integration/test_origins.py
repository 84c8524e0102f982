"""Requests of web pages: refused unless their origin is allowed, and then with CORS headers."""

import pytest

from tests.fixtures.gateway import INIT, Backing, connected, entry
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream

_PAGE = "https://app.example"


@pytest.mark.requirement("legacy.origin", "modern.origin")
@pytest.mark.parametrize(
    "origin, allowed",
    [
        ("http://localhost:5173", True), ("http://127.0.0.1:1", True), ("http://[::1]:9", True),
        ("https://mcp.example", True), ("https://mcp.example:444", False), ("http://mcp.example", False),
        ("https://evil.example", False), ("null", False), ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False), ("https://mcp.example.evil", False), ("", False), ("::", False),
        ("http://[x", False),
    ],
)
async def test_pages_of_other_origins_are_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, origin: str, allowed: bool
) -> None:
    config = shared_backing.config(entry(upstream.url), core={"public_base_url": "https://mcp.example"})
    async with connected(config, initialize=False) as client:
        seen = len(upstream.seen)
        answer = await client.request("initialize", INIT, {"Origin": origin})
        modern = await Modern(client).request("tools/list", headers={"Origin": origin})

        assert (answer.status == 200) is allowed, answer
        assert modern.status == answer.status
        if not allowed:
            assert (answer.status, answer.reason) == (403, "forbidden")
            assert len(upstream.seen) == seen


@pytest.mark.parametrize(
    "host, allowed",
    [
        ("127.0.0.1:8932", True), ("localhost", True), ("[::1]:8932", True), ("mcp.example", True),
        ("other.example:1", True), ("evil.example:8932", False), ("localhost.evil.example", False), ("[x", False),
    ],
)
async def test_a_host_name_rebound_to_loopback_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, host: str, allowed: bool
) -> None:
    core = {"public_base_url": "https://mcp.example", "allowed_hosts": ["other.example"]}
    async with connected(shared_backing.config(entry(upstream.url), core=core), initialize=False) as client:
        answer = await client.request("initialize", INIT, {"Host": host})

    assert answer.status == (200 if allowed else 403)


async def test_an_allowed_page_may_send_a_preflight_call_and_read(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    core = {"cors": {"enabled": True, "allowed_origins": [_PAGE], "allow_credentials": True}}
    async with connected(shared_backing.config(entry(upstream.url), core=core), initialize=False) as client:
        asks = {
            "Origin": _PAGE, "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type, mcp-session-id, mcp-param-region",
        }
        async with client.http.options(client.base + client.mount, headers=asks) as preflight:
            assert preflight.status == 204
            assert preflight.headers["Access-Control-Allow-Origin"] == _PAGE
            assert preflight.headers["Access-Control-Allow-Headers"] == asks["Access-Control-Request-Headers"]
            assert preflight.headers["Access-Control-Allow-Methods"] == "POST, GET, OPTIONS"
            assert preflight.headers["Access-Control-Allow-Credentials"] == "true"
        answer = await client.request("initialize", INIT, {"Origin": _PAGE})
        refused = await client.request("tools/list", None, {"Origin": _PAGE})
        async with client.http.options(
            client.base + client.mount, headers={**asks, "Origin": "https://evil.example"}
        ) as strange:
            assert strange.status == 403
            assert "Access-Control-Allow-Origin" not in strange.headers

    assert answer.headers["Access-Control-Allow-Origin"] == _PAGE
    assert "Mcp-Session-Id" in answer.headers["Access-Control-Expose-Headers"]
    assert refused.headers["Access-Control-Allow-Origin"] == _PAGE    # a page must be able to read errors too
    assert answer.headers["Vary"] == "Origin"


async def test_without_cors_a_preflight_is_405(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    asks = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    async with (
        connected(shared_backing.config(entry(upstream.url)), initialize=False) as client,
        client.http.options(client.base + client.mount, headers=asks) as answer,
    ):
        assert answer.status == 405
        assert "Access-Control-Allow-Origin" not in answer.headers
