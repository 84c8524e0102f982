"""The ways of a file into longshore, each gone as a person, a script or a model goes it."""

import asyncio
import base64
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from mcp.client.client import Client
from mcp_types import CallToolResult, TextContent

from tests.e2e import file_transfer
from tests.e2e.stack import Gateway, Stack
from tests.fixtures.balancer import Halt, round_robin
from tests.fixtures.node import TUS_CLIENT, UPLOAD_PAGE, chromium
from tests.fixtures.processes import Process, run, until

_MIB = 1024 * 1024
_CHUNK_BYTES = 4 * _MIB      # of a file that a tus client sends in one request
_HALT_BYTES = 7 * _MIB       # sent when its gateway is killed: in the second one


@dataclass(frozen=True)
class Journey:
    """A file, the client whose session it goes to, and the deployment. What a way returns goes to a tool."""

    stack: Stack
    gateway: Gateway
    client: Client
    path: Path

    async def ticket(self) -> dict[str, Any]:
        """Result of the helper tool."""
        found = (await self.call("files_get_upload_url")).structured_content
        assert found is not None
        return dict(found)

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        """A tool's result, which must be no error."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text(result)
        return result


def text(result: CallToolResult) -> str:
    """Text of a result."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


async def curl_form(journey: Journey) -> str:
    """The line of the helper tool, as it is but for the file's name."""
    return await _curl(journey, "example_curl")


async def curl_put(journey: Journey) -> str:
    """The line for `curl -T`."""
    return await _curl(journey, "example_curl_raw")


async def _curl(journey: Journey, line: str) -> str:
    argv = [part.replace("FILE", str(journey.path)) for part in shlex.split((await journey.ticket())[line])]
    curl = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    printed, _ = await curl.communicate()
    handle: str = msgspec.json.decode(printed)["upload_handle"]
    return handle


async def page_with_script(journey: Journey) -> str:
    """A person with an ordinary browser."""
    return await _page(journey, "script")


async def page_without_script(journey: Journey) -> str:
    """A person whose browser runs no JavaScript."""
    return await _page(journey, "plain")


async def page_cut(journey: Journey) -> str:
    """A person whose connection breaks in the middle."""
    return await _page(journey, "cut")


async def _page(journey: Journey, how: str) -> str:
    """Text that the page shows in the end, which the model is told too."""
    ticket, folder = await journey.ticket(), journey.path.parent
    argv: list[str | Path] = [
        *UPLOAD_PAGE, chromium(), ticket["page_url"], journey.path, how, folder / f"{how}.png"
    ]
    with run(argv, folder=folder) as browser:

        async def ended() -> dict[str, Any] | None:
            last = browser.output().strip().rpartition("\n")[2]
            return msgspec.json.decode(last) if last.startswith("{") and last.endswith("}") else None

        found = await until(ended, browser, within_s=50)
    asked = await journey.call("files_await_upload", link_id=ticket["link_id"], wait_seconds=0)
    answer = asked.structured_content
    assert answer is not None
    assert answer["upload"]["filename"] == journey.path.name
    assert found == {"handle": answer["upload_handle"], "copied": None if how == "plain" else 1, "complaints": []}
    handle: str = answer["upload_handle"]
    return handle


async def tus_client(journey: Journey) -> str:
    """An existing tus client behind a balancer, whose gateway is killed in the middle of a request."""
    doomed = {gateway.port: gateway for gateway in [await journey.stack.start_gateway() for _ in range(2)]}
    async with round_robin(list(doomed)) as balancer:
        balancer.halt = Halt(_HALT_BYTES)
        link = (await journey.ticket())["upload_url"].replace(journey.gateway.base, balancer.base)
        with run([*TUS_CLIENT, link, journey.path, str(_CHUNK_BYTES)], folder=journey.path.parent) as sending:
            port = await asyncio.wait_for(balancer.halt.port, 30)
            await until(lambda: _has_begun_to_write(journey), sending)
            doomed[port].process.kill()
            balancer.halt.go_on.set()
            url = await until(lambda: _url(sending), within_s=45)
    async with aiohttp.ClientSession() as http, http.get(url.replace(balancer.base, journey.gateway.base)) as answer:
        handle: str = (await answer.json())["upload_handle"]
        return handle


async def _has_begun_to_write(journey: Journey) -> bool | None:
    """The second request."""
    staged = (journey.stack.root / "staging").iterdir()
    return any(file.stat().st_size > _CHUNK_BYTES for file in staged) or None


async def _url(sending: Process) -> str | None:
    said = [msgspec.json.decode(line) for line in sending.output().splitlines() if line.startswith("{")]
    assert not [what for what in said if "error" in what], said
    return next((str(what["url"]) for what in said if "url" in what), None)


async def data_uri(journey: Journey) -> str:
    """A small file within the call itself."""
    content = await asyncio.to_thread(journey.path.read_bytes)
    return f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"


async def announced(journey: Journey) -> str:
    """A client that asks where to send a file, as the draft SEP-2631 has it."""
    return await file_transfer.sent(journey.client, journey.path, await asyncio.to_thread(journey.path.read_bytes))


async def tool_to_tool(journey: Journey) -> str:
    """The file that one tool made is the one that the next one takes."""
    made = await journey.call("copy", source=await curl_put(journey))
    assert made.meta is not None
    uri: str = made.meta["artifact"]["artifact_uri"]
    return uri
