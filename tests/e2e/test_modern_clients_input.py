"""Clients of the modern revision that a legacy server asks something, through two gateways in turn."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from mcp.client.client import Client
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent
from pydantic import FileUrl

from tests.e2e.stack import server, stack
from tests.fixtures.balancer import round_robin
from tests.fixtures.gateway import Client as Wire
from tests.fixtures.modern import Modern
from tests.fixtures.node import PLAYWRIGHT, everything
from tests.fixtures.processes import REPOSITORY, run
from tests.fixtures.server_requests import ADA, FORM, InputRequired, Tool, call, received
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


async def _by_python(url: str) -> dict[str, Any]:
    """Answers of tools that ask the official Python client for input."""
    async with Client(
        url, mode="auto", elicitation_callback=_elicited, sampling_callback=_sampled, list_roots_callback=_rooted,
    ) as client:
        prompt = {"prompt": "name a port", "maxTokens": 10}
        report: dict[str, Any] = {
            "version": client.protocol_version, "elicited": [], "sampled": [], "rooted": [],
        }
        for _ in range(3):
            report["elicited"].append(_text(await client.call_tool("trigger-elicitation-request", {})))
            report["sampled"].append(_text(await client.call_tool("trigger-sampling-request", prompt)))
            report["rooted"].append(_text(await client.call_tool("get-roots-list", {})))
        return report


async def _by_typescript(url: str, folder: Path) -> dict[str, Any]:
    """The same of the official TypeScript client."""
    script = REPOSITORY / "tests" / "node" / "clients" / "asked.mjs"
    with run([PLAYWRIGHT[0], script, url], folder=folder) as process:
        status = await asyncio.to_thread(process.wait, within_s=50)
        output = process.output()
    assert status == 0, output
    report: dict[str, Any] = msgspec.json.decode(output.strip().splitlines()[-1])
    return report


async def test_the_official_clients_are_asked_what_a_session_based_server_asks(tmp_path: Path) -> None:
    """Each request goes to the next gateway, and so does each round."""
    async with everything(tmp_path) as upstream:
        with stack(tmp_path, [server("everything", upstream.url)]) as made:
            made.start_worker()
            gateways = await asyncio.gather(made.start_gateway(), made.start_gateway())
            async with round_robin([int(gateway.base.rpartition(":")[2]) for gateway in gateways]) as balancer:
                url = f"{balancer.base}/mcp/everything"
                reports = [await _by_python(url), await _by_typescript(url, tmp_path)]
            served = balancer.served

    for report in reports:
        assert report["version"] == _MODERN
        assert all("- Name: Ada" in text for text in report["elicited"]), report
        assert all("heard" in text and "name a port" in text for text in report["sampled"]), report
        assert all("file:///harbour" in text for text in report["rooted"]), report
    assert min(served.values()) >= 12


async def test_a_call_whose_gateway_is_killed_between_the_rounds_says_so_and_works_when_it_is_made_again(
    tmp_path: Path,
) -> None:
    async with scripted("ask") as upstream, aiohttp.ClientSession() as http:
        tool = Tool(upstream, [[FORM], [FORM]])
        with stack(tmp_path, [server("asking", upstream.url)]) as made:
            made.start_worker()
            doomed, other = await asyncio.gather(made.start_gateway(), made.start_gateway())
            there, here = (Modern(Wire(http, one.base, "/mcp/asking")) for one in (doomed, other))

            first = InputRequired.of(await call(there, workspace="w"))
            second = InputRequired.of(await call(here, first.answers(ADA), workspace="w"))
            doomed.process.kill()
            lost = await call(here, second.answers(ADA), workspace="w")
            await tool.wait_ended()

            again = InputRequired.of(await call(here, workspace="w"))
            once_more = InputRequired.of(await call(here, again.answers(ADA), workspace="w"))
            ended = await call(here, once_more.answers(ADA), workspace="w")

    assert (lost.status, lost.message["error"]["code"], lost.reason) == (200, -32603, "call_lost")
    assert "again" in lost.message["error"]["message"]
    assert received(ended) == [ADA, ADA]
