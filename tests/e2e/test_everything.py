"""A server with every feature of the legacy revisions is the same server when longshore is in front of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
import pytest
from mcp.client.client import Client
from mcp.client.session import ClientRequestContext
from mcp_types import (
    CallToolResult,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    TextContent,
)

from tests.e2e import wire
from tests.e2e.stack import one_of_each, server
from tests.fixtures.node import everything
from tests.fixtures.processes import REPOSITORY

_MCP1_PYTHON = REPOSITORY / ".venv-mcp1" / "bin" / "python"
_MCP1_CLIENT = Path(__file__).with_name("mcp1_client.py")


@pytest.fixture
async def direct_and_through(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """The address of the server itself, and the one that longshore gives it."""
    async with (
        everything(tmp_path) as upstream,
        one_of_each(tmp_path, [server("everything", upstream.url)]) as (_, gateway),
    ):
        yield upstream.url, gateway.mount("everything")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_current_sdk_sees_the_same_server(
    direct_and_through: tuple[str, str], mode: Literal["auto", "legacy"]
) -> None:
    direct, through = [await _visit_with_current_sdk(url, mode) for url in direct_and_through]

    if mode == "auto":           # which finds the modern revision at longshore, whose tasks are another extension
        assert (direct.pop("version"), through.pop("version")) == ("2025-11-25", "2026-07-28")
        assert direct["capabilities"].pop("tasks")
        assert not through["capabilities"].pop("tasks")
    assert through == direct
    assert "sampled: Resource trigger-sampling-request context: name a port" in through["sampled"]
    assert "declined" in through["elicited"]
    assert through["progress"] == [(step, 4.0) for step in (1.0, 2.0, 3.0, 4.0)]


async def test_the_previous_sdk_sees_the_same_server(direct_and_through: tuple[str, str]) -> None:
    direct, through = [await _visit_with_previous_sdk(url) for url in direct_and_through]

    assert through.pop("session_id") != direct.pop("session_id")
    assert through == direct
    assert through["echo"][0]["text"] == "Echo: ahoy"
    assert through["progress"] == [[1.0, 4.0], [2.0, 4.0], [3.0, 4.0], [4.0, 4.0]]
    assert "sampled: " in through["sampled"][0]["text"]


async def test_ids_and_unknown_methods_pass_unchanged(direct_and_through: tuple[str, str]) -> None:
    """Any id that a client chooses comes back; a method that the upstream does not know stays its own -32601."""
    answers: list[list[dict[str, Any]]] = []
    async with aiohttp.ClientSession() as http:
        for url in direct_and_through:
            session = await wire.open_session(http, url)
            answers.append(
                [
                    await session.call(url, "tools/call", "an id of ü", name="echo", arguments={"message": "a"}),
                    await session.call(url, "tools/call", 0, name="echo", arguments={"message": "b"}),
                    await session.call(url, "tools/call", 2**53 - 1, name="no such tool", arguments={}),
                    await session.call(url, "harbour/unknown", 5, anything={"nested": [1, None]}),
                    await session.call(url, "completion/complete", 6, **_COMPLETION),
                ]
            )
            await session.end(url)

    direct, through = answers
    assert through == direct
    assert through[3]["error"]["code"] == -32601


async def test_notifications_arrive_on_the_stream_of_the_session(direct_and_through: tuple[str, str]) -> None:
    """A subscription's updates come by the GET stream, which longshore relays as it runs."""
    _, url = direct_and_through
    uri = "demo://resource/dynamic/text/1"
    async with aiohttp.ClientSession() as http:
        session = await wire.open_session(http, url)
        headers = {**session.headers, "Accept": "text/event-stream"}
        async with http.get(url, headers=headers) as stream:
            status = stream.status
            await session.call(url, "resources/subscribe", 1, uri=uri)
            await session.tool(url, "toggle-subscriber-updates", 2)
            update = await asyncio.wait_for(_next_message(stream, "notifications/resources/updated"), 15)
        ended = await session.end(url)

    assert status == 200
    assert update["params"]["uri"] == uri
    assert ended in (200, 204)


_COMPLETION = {
    "ref": {"type": "ref/prompt", "name": "completable-prompt"},
    "argument": {"name": "department", "value": "E"},
}


async def _next_message(stream: aiohttp.ClientResponse, method: str) -> dict[str, Any]:
    async for line in stream.content:
        if line.startswith(b"data:"):
            message: dict[str, Any] = msgspec.json.decode(line.removeprefix(b"data:"))
            if message.get("method") == method:
                return message
    raise AssertionError("the stream ended")


async def _visit_with_current_sdk(url: str, mode: Literal["auto", "legacy"]) -> dict[str, Any]:
    steps: list[tuple[float, float | None]] = []

    async def progressed(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, total))

    async with Client(url, mode=mode, sampling_callback=_sample, elicitation_callback=_decline) as client:
        slow = {"duration": 0.4, "steps": 4}
        prompt = {"prompt": "name a port", "maxTokens": 10}
        return {
            "version": client.protocol_version,
            "info": client.server_info,
            "capabilities": client.server_capabilities.model_dump(),
            "instructions": client.instructions,
            "tools": [tool.model_dump() for tool in (await client.list_tools()).tools],
            "resources": [one.model_dump() for one in (await client.list_resources()).resources],
            "prompts": [one.model_dump() for one in (await client.list_prompts()).prompts],
            "echo": _text(await client.call_tool("echo", {"message": "ahoy"})),
            "sampled": _text(await client.call_tool("trigger-sampling-request", prompt)),
            "elicited": _text(await client.call_tool("trigger-elicitation-request", {})),
            "slow": _text(await client.call_tool("trigger-long-running-operation", slow, progress_callback=progressed)),
            "progress": steps,
        }


async def _visit_with_previous_sdk(url: str) -> dict[str, Any]:
    assert _MCP1_PYTHON.exists(), f"{_MCP1_PYTHON} is missing: run tests/setup.sh"
    process = await asyncio.create_subprocess_exec(
        _MCP1_PYTHON, _MCP1_CLIENT, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    report: dict[str, Any] = msgspec.json.decode(output)
    return report


async def _sample(context: ClientRequestContext, params: CreateMessageRequestParams) -> CreateMessageResult:
    content = params.messages[0].content
    assert isinstance(content, TextContent)
    return CreateMessageResult(
        role="assistant", content=TextContent(type="text", text=f"sampled: {content.text}"), model="none"
    )


async def _decline(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="decline")


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
