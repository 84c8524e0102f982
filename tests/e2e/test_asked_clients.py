"""Clients of the stateless revision that a session-based server asks something, through two gateways in turn."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
from mcp.client.client import Client
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent
from pydantic import FileUrl

from tests.e2e.stack import server, stack
from tests.fixtures.balancer import round_robin
from tests.fixtures.gateway import Client as Wire
from tests.fixtures.modern import Modern
from tests.fixtures.node import everything
from tests.fixtures.questions import ADA, FORM, Asked, Tool, call, said
from tests.fixtures.upstreams import scripted

_MODERN = "2026-07-28"


async def _elicited(context: Any, params: Any) -> ElicitResult:
    assert "name" in params.requested_schema["properties"]
    return ElicitResult(action="accept", content={"name": "Ada"})


async def _sampled(context: Any, params: Any) -> CreateMessageResult:
    [asked] = params.messages
    return CreateMessageResult(
        role="assistant", content=TextContent(type="text", text=f"heard {asked.content.text!r}"), model="of the test",
    )


async def _rooted(context: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root(uri=FileUrl("file:///harbour"), name="harbour")])


def _text(result: Any) -> str:
    return "\n".join(block.text for block in result.content)


async def test_the_official_client_is_asked_what_a_session_based_server_asks(tmp_path: Path) -> None:
    """Each request goes to the next gateway, and so does each round."""
    async with everything(tmp_path) as upstream:
        with stack(tmp_path, [server("everything", upstream.url)]) as made:
            made.start_worker()
            gateways = await asyncio.gather(made.start_gateway(), made.start_gateway())
            async with (
                round_robin([int(gateway.base.rpartition(":")[2]) for gateway in gateways]) as balancer,
                Client(
                    f"{balancer.base}/mcp/everything", mode=_MODERN, elicitation_callback=_elicited,
                    sampling_callback=_sampled, list_roots_callback=_rooted,
                ) as client,
            ):
                tools = {tool.name for tool in (await client.list_tools()).tools}
                elicited = [_text(await client.call_tool("trigger-elicitation-request", {})) for _ in range(3)]
                prompt = {"prompt": "name a port", "maxTokens": 10}
                sampled = [_text(await client.call_tool("trigger-sampling-request", prompt)) for _ in range(3)]
                rooted = [_text(await client.call_tool("get-roots-list", {})) for _ in range(2)]
            served = balancer.served

    assert {"trigger-elicitation-request", "trigger-sampling-request", "get-roots-list"} <= tools
    assert all("- Name: Ada" in text for text in elicited), elicited
    assert all("name a port" in text for text in sampled), sampled
    assert all("file:///harbour" in text for text in rooted), rooted
    assert min(served.values()) >= 6


async def test_a_call_whose_gateway_is_killed_between_the_rounds_says_so_and_works_when_it_is_made_again(
    tmp_path: Path,
) -> None:
    async with scripted("ask") as upstream, aiohttp.ClientSession() as http:
        tool = Tool(upstream, [[FORM], [FORM]])
        with stack(tmp_path, [server("asking", upstream.url)]) as made:
            made.start_worker()
            doomed, other = await asyncio.gather(made.start_gateway(), made.start_gateway())
            there, here = (Modern(Wire(http, one.base, "/mcp/asking")) for one in (doomed, other))

            first = Asked.by(await call(there, workspace="w"))
            second = Asked.by(await call(here, first.answers(ADA), workspace="w"))
            doomed.process.kill()
            lost = await call(here, second.answers(ADA), workspace="w")
            await tool.until_left()

            again = Asked.by(await call(here, workspace="w"))
            once_more = Asked.by(await call(here, again.answers(ADA), workspace="w"))
            ended = await call(here, once_more.answers(ADA), workspace="w")

    assert (lost.status, lost.message["error"]["code"], lost.reason) == (200, -32603, "call_lost")
    assert "again" in lost.message["error"]["message"]
    assert said(ended) == [ADA, ADA]
