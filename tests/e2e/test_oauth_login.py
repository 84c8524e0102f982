"""The official clients find out by themselves where to log in, do so at a foreign server, and use what they get."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
import msgspec
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from shared.config import Config
from tests.fixtures.gateway import Backing, entry, gateway
from tests.fixtures.node import OAUTH_CLIENT, authorization_server
from tests.fixtures.processes import free_port
from tests.fixtures.upstreams import ScriptedUpstream

_CALLBACK = "http://127.0.0.1:9/callback"


class _Memory:
    """What the client keeps between its requests."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class _Browser:
    """Goes where it is sent, until it is sent back to the client."""

    arrived = ""

    async def go(self, url: str) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            while not url.startswith(_CALLBACK):
                async with http.get(url, allow_redirects=False) as answer:
                    assert "Location" in answer.headers, (url, answer.status, await answer.text())
                    url = urljoin(url, answer.headers["Location"])
        self.arrived = url

    async def result(self) -> AuthorizationCodeResult:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.arrived).query).items()}
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


def _config(backing: Backing, upstream: ScriptedUpstream, issuer: str, port: int) -> Config:
    look_up = {"url": f"{issuer}/token/introspection", "client_id": "longshore", "client_secret": "secret-of-longshore"}
    oauth: dict[str, Any] = {"issuer": issuer, "scopes": ["files:use"], "introspection": look_up}
    core = {"public_base_url": f"http://127.0.0.1:{port}", "auth": {"enabled": True, "oauth": oauth}}
    return backing.config(entry(upstream.url), core=core)


@pytest.mark.parametrize("tokens", ["jwt", "opaque"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_the_python_client_logs_in(
    shared_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path, tokens: str, slash: str
) -> None:
    port, memory, browser = free_port(), _Memory(), _Browser()
    async with (
        authorization_server(tmp_path, tokens=tokens) as issuer,
        gateway(_config(shared_backing, upstream, issuer, port), port=port) as base,
    ):
        url = f"{base}/mcp/files{slash}"
        metadata = OAuthClientMetadata(
            redirect_uris=[AnyUrl(_CALLBACK)], token_endpoint_auth_method="none", application_type="native"
        )
        provider = OAuthClientProvider(url, metadata, memory, browser.go, browser.result)
        async with (
            create_mcp_http_client(auth=provider) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            names = [tool.name for tool in (await client.list_tools()).tools]
            called = await client.call_tool("echo", {})

    assert {"read", "write", "echo"} <= set(names)
    assert not called.is_error
    assert memory.tokens is not None
    assert (memory.tokens.access_token.count(".") == 2) is (tokens == "jwt")
    seen = [value for call in upstream.seen for value in call.request.headers.values()]
    assert not [value for value in seen if memory.tokens.access_token in value]


async def test_the_typescript_client_logs_in(
    shared_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    port = free_port()
    async with (
        authorization_server(tmp_path) as issuer,
        gateway(_config(shared_backing, upstream, issuer, port), port=port) as base,
    ):
        process = await asyncio.create_subprocess_exec(
            *map(str, OAUTH_CLIENT), f"{base}/mcp/files", stdout=-1, stderr=-1
        )
        out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    report = msgspec.json.decode(out.splitlines()[-1])
    assert {"read", "write", "echo"} <= set(report["tools"])
    assert report["scope"] == "files:use"
