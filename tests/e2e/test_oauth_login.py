"""The official clients find out by themselves where to log in, do so at a foreign server, and use what they get."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from longshore.shared.config import Config
from tests.fixtures.gateway import Backing, entry, gateway
from tests.fixtures.login import Memory, login
from tests.fixtures.node import OAUTH_CLIENT, authorization_server
from tests.fixtures.processes import free_port
from tests.fixtures.upstreams import ScriptedUpstream


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
    port, memory = free_port(), Memory()
    async with (
        authorization_server(tmp_path, tokens=tokens) as issuer,
        gateway(_config(shared_backing, upstream, issuer, port), port=port) as base,
    ):
        url = f"{base}/mcp/files{slash}"
        async with (
            create_mcp_http_client(auth=login(url, memory)) as http,
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
