# mypy: ignore-errors
"""A session with the official SDK of the previous generation, reported as one line of JSON.

Runs in the environment of requirements/mcp1.txt, whose `mcp` is not the one that the rest of the
tests import. Usage: python mcp1_client.py URL
"""

import asyncio
import sys

import pydantic_core
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client


async def _sample(_context, params):
    asked = params.messages[0].content.text
    return types.CreateMessageResult(
        role="assistant", content=types.TextContent(type="text", text=f"sampled: {asked}"), model="none"
    )


async def _elicit(_context, params):
    return types.ElicitResult(action="decline")


async def main(url):
    steps = []

    async def progressed(progress, total, _message):
        steps.append([progress, total])

    async with (
        streamable_http_client(url) as (read, write, session_id),
        ClientSession(read, write, sampling_callback=_sample, elicitation_callback=_elicit) as session,
    ):
        opening = await session.initialize()
        tools = (await session.list_tools()).tools
        echo = await session.call_tool("echo", {"message": "ahoy"})
        slow = await session.call_tool(
            "trigger-long-running-operation", {"duration": 0.4, "steps": 4}, progress_callback=progressed
        )
        sampled = await session.call_tool("trigger-sampling-request", {"prompt": "name a port", "maxTokens": 10})
        elicited = await session.call_tool("trigger-elicitation-request", {})
        read_back = await session.read_resource("demo://resource/dynamic/text/7")
        report = {
            "session_id": session_id(),
            "opening": opening,
            "tools": tools,
            "resources": (await session.list_resources()).resources,
            "templates": (await session.list_resource_templates()).resourceTemplates,
            "prompts": (await session.list_prompts()).prompts,
            "prompt": (await session.get_prompt("args-prompt", {"city": "Brest"})).messages,
            "echo": echo.content,
            "slow": slow.content,
            "progress": steps,
            "sampled": sampled.content,
            "elicited": elicited.content,
            "read": read_back.contents[0].uri,
        }
    sys.stdout.buffer.write(pydantic_core.to_json(report) + b"\n")


asyncio.run(main(sys.argv[1]))
