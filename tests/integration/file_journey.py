"""One file in and one out through the browser's two file tools, as the SDK's client makes it."""

import base64
import hashlib
from typing import Any

import aiohttp
from mcp.client.client import Client
from mcp_types import BlobResourceContents, CallToolResult, TextContent


async def upload(client: Client, http: aiohttp.ClientSession, content: bytes) -> str:
    """Send `content` to the link that the helper tool gives; returns the handle."""
    ticket = _structured(await client.call_tool("playwright_get_upload_url", {}))
    form = aiohttp.FormData()
    form.add_field(ticket["field_name"], content, filename="cargo.bin")
    async with http.post(ticket["upload_url"], data=form, headers=ticket["headers"]) as answer:
        assert answer.status == 200, await answer.text()
        done: dict[str, Any] = await answer.json()
    handle: str = done["upload_handle"]
    return handle


async def file_in(client: Client, http: aiohttp.ClientSession, content: bytes) -> None:
    """The tool that reads files sees exactly `content`."""
    handle = await upload(client, http, content)

    seen = await client.call_tool("browser_file_upload", {"paths": [handle]})

    assert hashlib.sha256(content).hexdigest() in _text(seen)


async def file_out(client: Client, http: aiohttp.ClientSession) -> bytes:
    """The tool that writes a file yields the same bytes as a resource and by its link, which are returned."""
    result = await client.call_tool("browser_take_screenshot", {})
    assert result.meta is not None, _text(result)
    artifact = result.meta["artifact"]

    [content] = (await client.read_resource(artifact["artifact_uri"])).contents
    async with http.get(artifact["download_url"]) as answer:
        downloaded = await answer.read()

    assert isinstance(content, BlobResourceContents)
    assert downloaded == base64.b64decode(content.blob)
    assert downloaded.startswith(b"\x89PNG\r\n\x1a\n")
    return downloaded


def _structured(result: CallToolResult) -> dict[str, Any]:
    assert isinstance(result.structured_content, dict), _text(result)
    return result.structured_content


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))
