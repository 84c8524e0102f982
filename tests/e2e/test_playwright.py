"""The main job on real parts: a file goes into a browser and a picture of the page comes out."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from mcp.client.client import Client
from mcp_types import BlobResourceContents, CallToolResult, ResourceLink, TextContent

from tests.e2e import png
from tests.e2e.stack import Gateway, Stack, one_of_each, server
from tests.fixtures.node import playwright
from tests.fixtures.processes import free_port

_BACKGROUND = (18, 164, 200)
_PAGE = """<!doctype html><meta charset="utf-8"><title>Weighbridge</title>
<body style="margin:0;background:#12a4c8"><label>Cargo <input type="file" id="cargo"></label><p id="seal">empty</p>
<script>
cargo.onchange = async () => {
  const bytes = await cargo.files[0].arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hex = [...digest].map(byte => byte.toString(16).padStart(2, "0")).join("");
  seal.textContent = `name=${cargo.files[0].name} bytes=${bytes.byteLength} sha256=${hex}`;
};
</script>"""

_ADAPTERS: list[dict[str, Any]] = [
    {"type": "upload_consumer", "tools": ["browser_file_upload"], "file_path_argument": "paths"},
    {"type": "artifact_producer", "tools": ["browser_take_screenshot"], "output_path_argument": "filename"},
    {
        "type": "artifact_producer",
        "tools": ["browser_pdf_save"],
        "output_locator": {"mode": "regex", "output_path_regexes": [r"\]\((/[^)\n]+\.pdf)\)"]},
    },
]


@pytest.fixture
async def page() -> AsyncIterator[str]:
    """The address of a page that reports the digest of the file chosen in it."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/"
    await runner.cleanup()


@asynccontextmanager
async def _browser(folder: Path) -> AsyncIterator[tuple[Stack, Gateway]]:
    async with playwright(folder, output=folder / "storage" / "browser") as upstream:
        servers = [server("browser", upstream.url, *_ADAPTERS)]
        async with one_of_each(folder, servers, core={"allow_artifacts_download": True}) as running:
            yield running


async def test_a_file_goes_into_a_page_and_a_screenshot_comes_out(tmp_path: Path, page: str) -> None:
    """Upload, `browser_file_upload` by handle, then a screenshot as a resource and as a download."""
    cargo = "Containers, 40 ft – ".encode() * 5_000
    async with _browser(tmp_path) as (_, gateway), aiohttp.ClientSession() as http:
        async with Client(gateway.mount("browser"), mode="legacy") as client:
            handle = await _upload(client, http, "bill of lading ü.txt", cargo)
            await _call(client, "browser_navigate", url=page)

            await _call(client, "browser_click", element="Cargo", target=await _reference(client, "Cargo"))
            chosen = await _call(client, "browser_file_upload", paths=[handle])
            seen = _text(await _call(client, "browser_snapshot"))
            shot = await _call(client, "browser_take_screenshot")
            as_resource = await _read(client, _meta(shot)["artifact_uri"])
            as_download = await _download(http, _meta(shot)["download_url"])
            listed = {str(resource.uri) for resource in (await client.list_resources()).resources}

        async with http.get(_meta(shot)["download_url"]) as answer:
            after_the_session = answer.status

    digest = hashlib.sha256(cargo).hexdigest()
    assert f"bytes={len(cargo)} sha256={digest}" in seen
    assert "bill of lading ü.txt" in seen
    assert "upload://" not in _text(chosen)
    assert _meta(shot)["artifact_uri"] in listed
    assert _meta(shot)["mime_type"] == "image/png"
    assert _meta(shot)["size_bytes"] == len(as_resource)
    assert _meta(shot)["artifact_uri"] in [str(b.uri) for b in shot.content if isinstance(b, ResourceLink)]
    assert as_download == as_resource
    assert after_the_session == 404
    image = png.decode(as_resource)
    assert (image.width, image.height) == (640, 480)
    assert image.pixel(600, 400) == _BACKGROUND


async def test_a_file_that_the_browser_names_itself_is_found_in_its_answer(tmp_path: Path, page: str) -> None:
    """`browser_pdf_save` without a name writes into its own folder and says where."""
    async with _browser(tmp_path) as (stack, gateway), Client(gateway.mount("browser"), mode="legacy") as client:
        await _call(client, "browser_navigate", url=page)

        saved = await _call(client, "browser_pdf_save")
        content = await _read(client, _meta(saved)["artifact_uri"])

        assert _meta(saved)["mime_type"] == "application/pdf"
        assert _meta(saved)["filename"].endswith(".pdf")
        assert content.startswith(b"%PDF-")
        [original] = (stack.root / "browser").glob("*.pdf")
        assert content == original.read_bytes()


async def test_the_browser_never_sees_a_handle_that_is_not_the_callers(tmp_path: Path, page: str) -> None:
    """Another session's handle is refused before the call goes out, in words that help."""
    async with _browser(tmp_path) as (_, gateway), aiohttp.ClientSession() as http:
        mount = gateway.mount("browser")
        async with Client(mount, mode="legacy") as owner, Client(mount, mode="legacy") as other:
            handle = await _upload(owner, http, "secret.txt", b"not for everybody")
            await _call(other, "browser_navigate", url=page)
            await _call(other, "browser_click", element="Cargo", target=await _reference(other, "Cargo"))

            refused = await other.call_tool("browser_file_upload", {"paths": [handle]})
            after = await other.call_tool("browser_snapshot", {})

    assert refused.is_error
    assert "upload" in _text(refused)
    assert str(tmp_path) not in _text(refused)
    assert "File chooser" in _text(after), "still open, so nothing reached the browser"


async def _upload(client: Client, http: aiohttp.ClientSession, name: str, content: bytes) -> str:
    ticket = (await _call(client, "browser_get_upload_url")).structured_content
    assert ticket is not None
    form = aiohttp.FormData(quote_fields=False)  # names as they are, like curl and browsers
    form.add_field(ticket["field_name"], content, filename=name, content_type="text/plain")
    async with http.post(ticket["upload_url"], data=form, headers=ticket["headers"]) as answer:
        assert answer.status == 200, await answer.text()
        done = await answer.json()
    assert done["upload"]["sha256"] == hashlib.sha256(content).hexdigest()
    handle: str = done["upload_handle"]
    return handle


async def _download(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "image/png"
        assert urlsplit(url).path.endswith(".png")
        return await answer.read()


async def _read(client: Client, uri: str) -> bytes:
    [content] = (await client.read_resource(uri)).contents
    assert isinstance(content, BlobResourceContents)
    return base64.b64decode(content.blob, validate=True)


async def _reference(client: Client, label: str) -> str:
    found = re.search(rf'button "{label}".*\[ref=(\w+)\]', _text(await _call(client, "browser_snapshot")))
    assert found is not None
    return found[1]


async def _call(client: Client, tool: str, **arguments: Any) -> CallToolResult:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, _text(result)
    return result


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def _meta(result: CallToolResult) -> dict[str, Any]:
    assert result.meta is not None
    meta: dict[str, Any] = result.meta["artifact"]
    return meta
