"""A client of both eras in front of an upstream of both: longshore answers in the era it speaks."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from mcp.client.client import Client
from mcp_types import TextContent

from tests.e2e import wire
from tests.e2e.stack import one_of_each, server
from tests.fixtures.processes import free_port, run, until_listening

_MODERN = "2026-07-28"
_CODES_OF_THE_REVISION = {-32020, -32021, -32022}
_SERVER = Path(__file__).with_name("dual_era_server.py")


@pytest.fixture
async def upstream(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server that speaks both eras."""
    port = free_port()
    with run([sys.executable, _SERVER, str(port)], folder=tmp_path) as process:
        await until_listening(process, port)
        yield f"http://127.0.0.1:{port}/mcp"


async def test_a_client_in_auto_mode_falls_back_and_works(tmp_path: Path, upstream: str) -> None:
    """Directly it speaks the stateless revision; through longshore the last one that has sessions."""
    async with (
        one_of_each(tmp_path, [server("harbour", upstream)]) as (_, gateway),
        Client(upstream, mode="auto") as direct,
        Client(gateway.mount("harbour"), mode="auto") as client,
    ):
        versions = (direct.protocol_version, client.protocol_version)
        names = [one.server_info.name for one in (direct, client) if one.server_info is not None]
        instructions = (direct.instructions, client.instructions)
        tools = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("tide", {"harbour": "Brest"})

    assert versions == (_MODERN, wire.VERSION)
    assert names == ["both-eras", "both-eras"]
    assert instructions == ("Ask for the tide.", "Ask for the tide.")
    assert tools == ["tide"]
    [block] = result.content
    assert isinstance(block, TextContent)
    assert block.text == "high water in Brest"


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_request_of_the_stateless_revision_is_refused_and_not_forwarded(
    tmp_path: Path, upstream: str, by_header: bool
) -> None:
    """400 with a JSON-RPC error whose code the revision does not define, so that clients fall back."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
    }
    params = {"name": "tide", "arguments": {"harbour": "Brest"}, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": params}
    headers = {"MCP-Protocol-Version": _MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "tide"} if by_header else {}
    async with one_of_each(tmp_path, [server("harbour", upstream)]) as (_, gateway), aiohttp.ClientSession() as http:
        async with wire.post(http, upstream, message, headers) as answer:
            direct = answer.status
        async with wire.post(http, gateway.mount("harbour"), message, headers) as answer:
            status, session_id, body = answer.status, answer.headers.get("Mcp-Session-Id"), await answer.json()

    assert direct == (200 if by_header else 400)
    assert status == 400
    assert session_id is None
    assert body["id"] == 4
    assert body["error"]["code"] not in _CODES_OF_THE_REVISION
