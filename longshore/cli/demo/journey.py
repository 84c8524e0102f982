"""Sends one file to a tool and gets one from a tool, with the official MCP client, and prints each step."""

import asyncio
import base64
import contextlib
import hashlib
from typing import Any, TypeVar
from urllib.parse import urlsplit

import mcp_types as types
import msgspec
from mcp import Client

from longshore.cli.console import Console
from longshore.cli.demo import config
from longshore.cli.demo.steps import UnexpectedAnswer, require, step
from longshore.cli.demo.transfer import Artifact, UploadTarget, download, sample_file, sha256_of, upload
from longshore.cli.errors import JourneyFailed

_SAMPLE_BYTES = 8 * 1024 * 1024
_SAMPLE_NAME = "crates.csv"
_TIMEOUT_S = 60.0
_T = TypeVar("_T")


class _Inspected(msgspec.Struct, frozen=True):
    size_bytes: int
    sha256: str
    first_lines: list[str]


async def run_journey(console: Console, url: str) -> None:
    """Run every step at the mount `url`. Raises JourneyFailed at the first step that fails."""
    with step(console, f"connect to {url} with the official MCP client"):
        client = await _connect(url)
    try:
        await _list_tools(console, client)
        await _send_file(console, client)
        await _get_file(console, client)
    except asyncio.CancelledError:
        # The transport raises the error of its interrupted request.
        with contextlib.suppress(ExceptionGroup):
            await client.__aexit__(None, None, None)
        raise
    except JourneyFailed:
        await client.__aexit__(None, None, None)
        raise
    await client.__aexit__(None, None, None)


async def _connect(url: str) -> Client:
    """Open a client outside of `async with`, so that later errors do not arrive in the transport's exception group."""
    client = Client(url, read_timeout_seconds=_TIMEOUT_S)
    await client.__aenter__()
    return client


async def _list_tools(console: Console, client: Client) -> None:
    with step(console, "list its tools"):
        names = [tool.name for tool in (await client.list_tools()).tools]
        console.detail(f"MCP {client.protocol_version}: {', '.join(names)}")
        for needed in (_upload_tool(), config.INSPECT, config.REPORT):
            require(needed in names, f"the tool {needed} is missing")


async def _send_file(console: Console, client: Client) -> None:
    with step(console, f"call {_upload_tool()} for an upload URL"):
        target = _structured(await client.call_tool(_upload_tool(), {}), UploadTarget)
        console.detail(f"{target.method} {_without_credential(target.upload_url)}")
    with sample_file(_SAMPLE_NAME, _SAMPLE_BYTES) as path:
        size_bytes, sha256 = path.stat().st_size, sha256_of(path)
        with step(console, f"upload {path.name}, {size_bytes:,} bytes"):
            with console.progress(path.name, size_bytes) as advance:
                received = await upload(target, path, advance)
            require(received.upload.sha256 == sha256, f"sha256 is {received.upload.sha256} there, {sha256} here")
            console.success(f"handle {received.upload_handle}")
    with step(console, f"call {config.INSPECT} with the handle as its path"):
        result = await client.call_tool(config.INSPECT, {"path": received.upload_handle})
        seen = _structured(result, _Inspected)
        console.detail(f"size    {seen.size_bytes:,} bytes")
        console.detail(f"sha256  {seen.sha256}")
        console.detail("\n".join(["begins  " + seen.first_lines[0], *("        " + x for x in seen.first_lines[1:])]))
        require(seen.sha256 == sha256, f"the tool read other bytes than were sent (sha256 {sha256})")
        console.success("the tool read exactly the bytes that were sent")


async def _get_file(console: Console, client: Client) -> None:
    with step(console, f"call {config.REPORT}; longshore fills in the path"):
        result = await client.call_tool(config.REPORT, {"title": "Hello from longshore", "output_path": "hello.pdf"})
        artifact = _artifact_of(result)
        console.detail(f"artifact  {artifact.artifact_uri}")
        console.detail(f"          {artifact.mime_type}, {artifact.size_bytes:,} bytes")
    with step(console, "read the artifact as an MCP resource"):
        resource = _bytes_of(await client.read_resource(artifact.artifact_uri))
        require(resource.startswith(b"%PDF-"), "the resource is not a PDF")
        console.detail(f"sha256  {_sha256(resource)}")
    with step(console, "download the artifact over HTTP"):
        require(artifact.download_url is not None, "the result has no download link")
        console.detail(_without_credential(artifact.download_url or ""))
        fetched = await download(artifact.download_url or "")
        console.detail(f"sha256  {_sha256(fetched)}")
        require(fetched == resource, "the download differs from the resource")
        require(len(fetched) == artifact.size_bytes, f"{len(fetched)} bytes arrived instead of {artifact.size_bytes}")
        console.success("the resource and the download are identical")


def _upload_tool() -> str:
    return f"{config.SERVER_ID}_get_upload_url"


def _structured(result: types.CallToolResult, shape: type[_T]) -> _T:
    if result.is_error:
        raise UnexpectedAnswer(_text_of(result))
    return msgspec.convert(result.structured_content, shape)


def _artifact_of(result: types.CallToolResult) -> Artifact:
    if result.is_error:
        raise UnexpectedAnswer(_text_of(result))
    meta: dict[str, Any] = dict(result.meta or {})
    require("artifact" in meta, "the result has no _meta.artifact")
    return msgspec.convert(meta["artifact"], Artifact)


def _bytes_of(result: types.ReadResourceResult) -> bytes:
    for content in result.contents:
        if isinstance(content, types.BlobResourceContents):
            return base64.b64decode(content.blob, validate=True)
    raise UnexpectedAnswer("the resource contains no bytes")


def _text_of(result: types.CallToolResult) -> str:
    return " ".join(block.text for block in result.content if isinstance(block, types.TextContent)) or "no text"


def _without_credential(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query="…" if parts.query else "").geturl()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
