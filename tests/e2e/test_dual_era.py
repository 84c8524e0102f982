"""A client of both eras in front of an upstream of both: longshore answers in the era it speaks."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent

from tests.e2e import wire
from tests.e2e.stack import one_of_each, server, stack
from tests.fixtures.node import everything
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


@pytest.mark.parametrize("mode", ["auto", _MODERN])
async def test_a_client_speaks_the_modern_revision_through(tmp_path: Path, upstream: str, mode: str) -> None:
    """As it does directly, the tools and what the server says of itself included."""
    async with (
        one_of_each(tmp_path, [server("harbour", upstream)]) as (_, gateway),
        Client(gateway.mount("harbour"), mode=mode) as client,
    ):
        version, instructions = client.protocol_version, client.instructions
        tools = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("tide", {"harbour": "Brest"})

    assert version == _MODERN
    assert instructions == ("Ask for the tide." if mode == "auto" else None)
    assert tools == ["tide"]
    [block] = result.content
    assert isinstance(block, TextContent)
    assert block.text == "high water in Brest"


async def test_a_client_of_the_session_era_keeps_its_session_beside_it(tmp_path: Path, upstream: str) -> None:
    async with (
        one_of_each(tmp_path, [server("harbour", upstream)]) as (_, gateway),
        Client(gateway.mount("harbour"), mode="auto") as modern,
        Client(gateway.mount("harbour"), mode="legacy") as legacy,
    ):
        versions = (modern.protocol_version, legacy.protocol_version)
        results = [await one.call_tool("tide", {"harbour": "Brest"}) for one in (modern, legacy)]

    assert versions == (_MODERN, wire.VERSION)
    assert results[0].content == results[1].content


async def test_headers_that_say_other_than_the_body_are_refused_as_the_server_does(
    tmp_path: Path, upstream: str
) -> None:
    """The same statuses and codes, with and without longshore."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _MODERN, "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
    }
    params = {"name": "tide", "arguments": {"harbour": "Brest"}, "_meta": meta}
    call = {"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": params}
    said = {"MCP-Protocol-Version": _MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "tide"}
    later = {**call, "params": {**params, "_meta": {**meta, "io.modelcontextprotocol/protocolVersion": "2031-01-01"}}}
    without = {**call, "params": {**params, "_meta": {}}}
    unknown = {**call, "method": "harbours/sink"}
    cases = {
        "as it should be": (call, said),
        "another method": (call, {**said, "Mcp-Method": "tools/list"}),
        "another name": (call, {**said, "Mcp-Name": "ebb"}),
        "no name": (call, {key: value for key, value in said.items() if key != "Mcp-Name"}),
        "another version": (later, said),
        "an unknown version": (later, {**said, "MCP-Protocol-Version": "2031-01-01"}),
        "no meta": (without, said),
        "an unknown method": (unknown, {**said, "Mcp-Method": "harbours/sink"}),
    }
    found: dict[str, list[tuple[int, int | None]]] = {}
    async with one_of_each(tmp_path, [server("harbour", upstream)]) as (_, gateway), aiohttp.ClientSession() as http:
        for name, (message, headers) in cases.items():
            for url in (upstream, gateway.mount("harbour")):
                async with wire.post(http, url, message, headers) as answer:
                    assert "Mcp-Session-Id" not in answer.headers
                    body = await wire.response_in(answer, 4)
                found.setdefault(name, []).append((answer.status, body.get("error", {}).get("code")))

    assert {name: through for name, (_, through) in found.items()} == {
        "as it should be": (200, None), "another method": (400, -32020), "another name": (400, -32020),
        "no name": (400, -32020), "another version": (400, -32020), "an unknown version": (400, -32022),
        "no meta": (400, -32602), "an unknown method": (404, -32601),
    }
    assert [name for name, (direct, through) in found.items() if direct != through] == []


async def test_a_client_that_has_no_sessions_works_with_a_server_that_has_nothing_else(tmp_path: Path) -> None:
    """Through two gateways in turn: whichever opened the upstream session, the other goes on with it."""
    async with everything(tmp_path) as upstream:
        with stack(tmp_path, [server("everything", upstream.url)]) as made:
            made.start_worker()
            bases = [(await made.start_gateway()).base for _ in range(2)]
            seen = []
            for base in bases * 2:
                async with Client(f"{base}/mcp/everything", mode=_MODERN) as client:
                    seen.append(await _visit(client))
        async with Client(upstream.url, mode="legacy") as client:
            direct = await _visit(client)

    assert seen == [direct] * 4


async def _visit(client: Client) -> dict[str, object]:
    steps: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    tools = [tool.name for tool in (await client.list_tools()).tools]
    echoed = await client.call_tool("echo", {"message": "ahoy"})
    await client.call_tool(
        "trigger-long-running-operation", {"duration": 0.2, "steps": 4}, progress_callback=progressed
    )
    prompts = [prompt.name for prompt in (await client.list_prompts()).prompts]
    prompt = await client.get_prompt("simple-prompt")
    resources = [str(resource.uri) for resource in (await client.list_resources()).resources]
    read = await client.read_resource(resources[0])
    with pytest.raises(MCPError):
        await client.read_resource("demo://resource/nothing/of/the/kind")
    return {
        "tools": tools, "echoed": echoed.content, "progress": steps, "prompts": prompts,
        "prompt": prompt.messages, "resources": resources, "read": read.contents,
    }
