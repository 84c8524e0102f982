"""Clients with sessions in front of a server that knows none: longshore is the session."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, TextContent, TextResourceContents

from tests.e2e import wire
from tests.e2e.stack import one_of_each, server
from tests.fixtures.processes import free_port, run, until_listening


@pytest.fixture
async def upstream(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a server that speaks the modern revision alone."""
    port = free_port()
    with run([sys.executable, "-m", "tests.e2e.modern_only_server", str(port)], folder=tmp_path) as process:
        await until_listening(process, port)
        yield f"http://127.0.0.1:{port}/mcp"


async def test_the_official_client_has_a_session_with_it(tmp_path: Path, upstream: str) -> None:
    """Tools, progress, resources, prompts, ping and what is not there."""
    steps: list[float] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    async with (
        one_of_each(tmp_path, [server("harbour", upstream)]) as (_, gateway),
        Client(gateway.mount("harbour"), mode="legacy") as client,
    ):
        version, info, instructions = client.protocol_version, client.server_info, client.instructions
        tools = [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("tide", {"harbour": "Brest"}, progress_callback=progressed)
        resources = [str(entry.uri) for entry in (await client.list_resources()).resources]
        read = await client.read_resource("sea://chart")
        prompt = await client.get_prompt("ask", {"harbour": "Brest"})
        with pytest.raises(MCPError) as missing:
            await client.read_resource("sea://nothing")

    assert version == wire.VERSION
    assert info is not None
    assert (info.name, instructions) == ("modern-only", "Ask for the tide.")
    assert tools == ["tide", "read", "greet", "survey", "log_in", "write_down"]
    [block] = result.content
    assert isinstance(block, TextContent)
    assert block.text == "high water in Brest"
    assert steps == [1]
    assert resources == ["sea://chart"]
    [content] = read.contents
    assert isinstance(content, TextResourceContents)
    assert content.text == "here be dragons"
    [message] = prompt.messages
    assert isinstance(message.content, TextContent)
    assert message.content.text == "When is high water in Brest?"
    assert missing.value.error.code == -32002


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_tool_that_asks_before_it_writes_has_its_file_captured(
    tmp_path: Path, upstream: str, mode: str
) -> None:
    """The server holds its state against the path that it saw first, in whatever era the client answers."""
    writes = {"type": "artifact_producer", "tools": ["write_down"], "output_path_argument": "path"}

    async def elicit(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"name": "Ada"})

    async with (
        one_of_each(tmp_path, [server("harbour", upstream, writes)]) as (_, gateway),
        Client(gateway.mount("harbour"), mode=mode, elicitation_callback=elicit) as client,
    ):
        result = await client.call_tool("write_down", {"path": "who.txt"})
        assert result.meta is not None
        read = await client.read_resource(result.meta["artifact"]["artifact_uri"])

    [content] = read.contents
    assert isinstance(content, TextResourceContents)
    assert content.text == "Ada"
