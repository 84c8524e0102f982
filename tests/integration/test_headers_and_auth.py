"""Authentication of callers, and the headers that are sent upstream."""

import io
import logging
from collections.abc import Iterator

import aiohttp
import pytest
import structlog

from longshore.shared import log
from tests.fixtures.gateway import INIT, Backing, Client, connected, consumer, entry, gateway
from tests.fixtures.upstreams import ScriptedUpstream

_TOKEN = "a-token-of-the-tests"
_AUTH = {"auth": {"enabled": True, "token": _TOKEN}}
_HEADER = {"X-Mcp-Adapter-Auth-Token": _TOKEN}


@pytest.fixture
def own_logging() -> Iterator[io.StringIO]:
    """Log events of this process, as a gateway of its own would write them."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level, configured = root.handlers[:], root.level, structlog.get_config()
    log.configure("info", stream=stream)
    structlog.configure(**{**structlog.get_config(), "cache_logger_on_first_use": False})   # other tests follow
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.configure(**configured)


async def test_only_configured_headers_are_sent_upstream(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream_section = {
        "static_headers": {"X-Static": "s"},
        "client_headers": {"passthrough": ["x-tenant"], "required": ["X-Team"]},
    }
    sent = {
        "X-Team": "blue", "X-Tenant": "t1", "X-Static": "forged", "X-Other": "no", "Cookie": "c=1",
        "Authorization": "Bearer stranger", "X-Forwarded-For": "192.0.2.1",
        "Origin": "http://localhost",
    }
    async with connected(
        shared_backing.config(entry(upstream.url, upstream=upstream_section)), initialize=False
    ) as client:
        await client.initialize(sent)
        await client.request("tools/call", {"name": "echo"}, sent)

    got = upstream.last("tools/call").request.headers
    assert (got["X-Team"], got["x-tenant"], got["X-Static"]) == ("blue", "t1", "s")
    assert got["MCP-Protocol-Version"] == "2025-11-25"
    for name in ("X-Other", "Cookie", "Authorization", "X-Forwarded-For", "Origin", "X-Mcp-Adapter-Auth-Token"):
        assert name not in got


@pytest.mark.requirement("authorization.passthrough")
async def test_our_own_token_is_never_sent_upstream_even_where_its_header_is_configured(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    section = {"client_headers": {"passthrough": ["X-Copy", "X-Fine"]}}
    config = shared_backing.config(entry(upstream.url, upstream=section), core=_AUTH)
    sent = {**_HEADER, "X-Copy": f"Bearer {_TOKEN}", "X-Fine": "yes"}
    async with connected(config, initialize=False) as client:
        await client.initialize(sent)

    got = upstream.last("initialize").request.headers
    assert got["X-Fine"] == "yes"
    assert all(_TOKEN not in value for value in got.values())


@pytest.mark.requirement("authorization.status")
async def test_a_missing_or_wrong_token_is_401(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url), core=_AUTH)
    async with connected(config, initialize=False) as client:
        seen = len(upstream.seen)
        for headers in (
            {}, {"X-Mcp-Adapter-Auth-Token": "wrong"}, {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {_TOKEN}"}, {"X-Mcp-Adapter-Auth-Token": ""}, {"Authorization": "Bearer"},
            {"X-Mcp-Adapter-Auth-Token": _TOKEN + "\u00e9"},
        ):
            answer = await client.request("initialize", INIT, headers)

            assert (answer.status, answer.reason) == (401, "unauthorized")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert _TOKEN not in answer.body.decode()
        assert len(upstream.seen) == seen


async def test_the_token_is_accepted_in_its_header_and_as_a_bearer_token(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url), core=_AUTH)
    async with connected(config, initialize=False) as client:
        await client.initialize(_HEADER)
        bearer = {"Authorization": f"bearer {_TOKEN}"}
        assert (await client.request("tools/list", None, bearer)).status == 200
        assert (await client.request("tools/list")).status == 401


async def test_a_session_survives_a_change_of_address_when_auth_is_on(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    core = {**_AUTH, "trusted_proxies": ["127.0.0.1"]}
    async with connected(shared_backing.config(entry(upstream.url), core=core), initialize=False) as client:
        await client.initialize({**_HEADER, "X-Forwarded-For": "192.0.2.1"})

        moved = await client.request("tools/list", None, {**_HEADER, "X-Forwarded-For": "192.0.2.2"})
        assert moved.status == 200


async def test_health_shows_addresses_to_authenticated_principals_only(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")), core=_AUTH)
    async with gateway(config) as base, aiohttp.ClientSession() as http:
        async with http.get(base + "/healthz") as answer:
            stranger = await answer.text()
            shown = await answer.json()
            assert answer.status == 200
        async with http.get(base + "/healthz", headers=_HEADER) as answer:
            operator = await answer.text()

    assert (shown["status"], shown["persistence"]["status"]) == ("ok", "ok")
    assert (shown["servers"][0]["server_id"], shown["servers"][0]["status"]) == ("files", "ok")
    assert shown["workers"]["live"] >= 1
    assert upstream.url not in stranger
    assert str(shared_backing.root) not in stranger
    assert upstream.url in operator


async def test_health_names_tools_of_adapters_that_the_upstream_lacks(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("missing")))
    async with (
        gateway(config) as base, aiohttp.ClientSession() as http, http.get(base + "/healthz") as answer,
    ):
        shown = await answer.json()

    assert shown["servers"][0]["missing_tools"] == ["missing"]
    assert shown["adapter_wiring"] == {"ready": False}


async def test_a_link_needs_no_token_and_no_session_header(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")), core=_AUTH)
    async with connected(config, initialize=False) as client:
        await client.initialize(_HEADER)
        helper = await client.result("tools/call", {"name": "files_get_upload_url"}, _HEADER)
        link = helper["structuredContent"]["upload_url"]

        assert _TOKEN not in link
        assert (await client.upload(link, ("a.txt", b"a"))).status == 200


async def test_uploads_by_token_need_the_session_header(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    # A server of this test's own: elsewhere the token's principal may have a scope without session.
    config = shared_backing.config(entry(upstream.url, consumer("read"), id="lone"), core=_AUTH)
    async with connected(config, initialize=False) as client:
        await client.initialize(_HEADER)
        url = f"{client.base}/upload/lone"

        assert await _status(client, url, {}) == 401
        assert await _status(client, url, _HEADER) == 400
        assert await _status(client, url, {**_HEADER, "Mcp-Session-Id": "B" * 32}) == 404
        assert await _status(client, url, {**_HEADER, "Mcp-Session-Id": client.session_id}) == 200


async def _status(client: Client, url: str, headers: dict[str, str]) -> int:
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="x.txt")
    async with client.http.post(url, data=form, headers=headers) as answer:
        return answer.status


async def test_values_of_forwarded_headers_are_redacted_in_the_logs_of_their_calls(
    shared_backing: Backing, upstream: ScriptedUpstream, own_logging: io.StringIO
) -> None:
    """Every event of the call is logged a second time, with the values in it."""
    values = ("a-tenants-own-key", _TOKEN)
    render, said = log.json_lines(()), list[str]()

    class Echo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            event = record.msg
            if isinstance(event, dict) and event.get("method") == "tools/call":
                text = f"sent {' and '.join(values)}"
                said.append(render(logging.LogRecord("tests", logging.INFO, "", 1, text, None, None)))

    echo = Echo()
    logging.getLogger().addHandler(echo)
    section = {"client_headers": {"passthrough": ["X-Tenant"]}}
    sent = {**_HEADER, "X-Tenant": values[0]}
    async with connected(
        shared_backing.config(entry(upstream.url, upstream=section), core={**_AUTH, "log_level": "info"}),
        initialize=False,
    ) as client:
        await client.initialize(sent)
        await client.request("tools/call", {"name": "echo", "arguments": {}}, sent)
    logging.getLogger().removeHandler(echo)

    assert upstream.last("tools/call").request.headers["X-Tenant"] == values[0]
    assert [line.count("[hidden]") for line in said] == [2]
    assert not [value for value in values if value in own_logging.getvalue()]
