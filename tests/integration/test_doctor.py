"""`longshore doctor auth` names the first thing that keeps clients out."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.fixtures.gateway import Backing, entry, gateway
from tests.fixtures.issuer import Issuer, issuer
from tests.fixtures.processes import free_port
from tests.fixtures.upstreams import ScriptedUpstream


@pytest.fixture
async def server() -> AsyncIterator[Issuer]:
    async with issuer() as made:
        yield made


async def _doctor(config: Path, *arguments: str, given: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "longshore", "doctor", "auth", "--config", str(config), *arguments,
        stdin=-1, stdout=-1, stderr=-1,
    )
    out, err = await process.communicate(given.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def _sections(server: Issuer, port: int, **oauth: Any) -> dict[str, Any]:
    named = {"issuer": server.url, "scopes": ["files:use"], **oauth}
    auth = {"enabled": True, "token": "static-token-1", "oauth": named}
    return {"public_base_url": f"http://127.0.0.1:{port}", "auth": auth}


async def test_a_service_that_is_set_up_well_has_no_fault(
    fresh_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    port = free_port()
    config = fresh_backing.config(entry(upstream.url), core=_sections(server, port))
    file = fresh_backing.folder / "config.yaml"
    token = server.token(f"http://127.0.0.1:{port}/mcp/files")
    async with gateway(config, port=port):
        for arguments, given in ((), ""), (("--token", token), ""), (("--token-stdin",), f"{token}\n"):
            status, out, err = await _doctor(file, *arguments, given=given)

            assert (status, err) == (0, "")
            assert out.endswith("no fault found\n")
            assert ("accepts this token" in out) is bool(arguments)
            assert token not in out
        static = await _doctor(file, "--token", "static-token-1")
        assert static[0] == 0


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"aud": "https://else"}, "another audience"),
        ({"scope": "more"}, "lacks the scope files:use"),
        ({"exp": 1}, "it has expired"),
        ({"kid": "unknown"}, "its issuer has no such signing key"),
        ({"iss": "https://else"}, "another issuer"),
    ],
    ids=str,
)
async def test_the_fault_of_a_token_is_named(
    fresh_backing: Backing, upstream: ScriptedUpstream, server: Issuer, changes: dict[str, Any], words: str
) -> None:
    port = free_port()
    config = fresh_backing.config(entry(upstream.url), core=_sections(server, port))
    token = server.token(f"http://127.0.0.1:{port}", **changes)
    async with gateway(config, port=port):
        status, _, err = await _doctor(fresh_backing.folder / "config.yaml", "--token", token)

    assert status == 1
    assert words in err
    assert token not in err


@pytest.mark.parametrize(
    "fault, words",
    [
        ("down", "cannot be reached"),
        ("issuer", "says issuer 'https://else'"),
        ("keys", "without a signing key"),
        ("challenge", "PKCE"),
        ("scope", "does not list the scope"),
        ("other configuration", "runs with another configuration"),
    ],
)
async def test_the_first_fault_is_named(
    fresh_backing: Backing, upstream: ScriptedUpstream, server: Issuer, fault: str, words: str
) -> None:
    port = free_port()
    config = fresh_backing.config(entry(upstream.url), core=_sections(server, port))
    if fault == "issuer":
        server.named = "https://else"
    elif fault == "keys":
        server.keys = []
    elif fault == "challenge":
        server.metadata["code_challenge_methods_supported"] = ["plain"]
    elif fault == "scope":
        server.metadata["scopes_supported"] = ["openid"]
    elif fault == "other configuration":
        fresh_backing.config(entry(upstream.url), core=_sections(server, port, issuer="https://else"))
    async with gateway(config, port=free_port() if fault == "down" else port):
        status, _, err = await _doctor(fresh_backing.folder / "config.yaml")

    assert (status, err.count("fault: ")) == (1, 1)
    assert words in err


async def test_a_proxy_that_redirects_to_the_slash_is_a_fault(
    fresh_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(str(request.url) + "/")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    async with TestServer(app) as proxy:
        fresh_backing.config(entry(upstream.url), core=_sections(server, proxy.port or 0))
        status, _, err = await _doctor(fresh_backing.folder / "config.yaml")

    assert status == 1
    assert "redirects to" in err
