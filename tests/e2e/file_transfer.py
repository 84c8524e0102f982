"""The requests of SEP-2631 over a session of the official SDK, which does not have them itself, and their transfers."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import aiohttp
from mcp.client.client import Client
from mcp_types import Request, RequestParams, Result
from pydantic import ConfigDict


class _Facts(RequestParams):
    """Parameters of a request, as they are."""

    model_config = ConfigDict(extra="allow")


class _Answer(Result):
    """Result of a request, as it is."""

    model_config = ConfigDict(extra="allow")


class _Upload(Request[_Facts, Literal["files/authorizeUpload"]]):
    method: Literal["files/authorizeUpload"] = "files/authorizeUpload"


class _Download(Request[_Facts, Literal["files/authorizeDownload"]]):
    method: Literal["files/authorizeDownload"] = "files/authorizeDownload"


async def sent(client: Client, path: Path, content: bytes) -> str:
    """The URI of a file that was announced with all that there is to say, and sent."""
    facts: dict[str, Any] = {
        "name": path.name, "mimeType": "application/octet-stream", "size": len(content),
        "digest": {"algorithm": "sha-256", "value": digest_value(content)},
    }
    told = await client.session.send_request(_Upload(params=_Facts(**facts)), _Answer)
    file, descriptor = _extra(told, "file"), _extra(told, "upload")
    async with (
        aiohttp.ClientSession() as http,
        http.request(descriptor["method"], descriptor["url"], data=_parts(content)) as answer,
    ):
        assert answer.status == 200, await answer.text()
    uri: str = file["uri"]
    return uri


async def fetched(client: Client, uri: str) -> tuple[dict[str, Any], bytes]:
    """Description of a file by the server, and its bytes."""
    told = await client.session.send_request(_Download(params=_Facts(uri=uri)), _Answer)  # type: ignore[call-arg]
    file, descriptor = _extra(told, "file"), _extra(told, "download")
    async with aiohttp.ClientSession() as http, http.request(descriptor["method"], descriptor["url"]) as answer:
        assert answer.status == 200, await answer.text()
        return file, await answer.read()


def digest_value(content: bytes) -> str:
    """A digest as the draft writes it."""
    return urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


def _extra(answer: _Answer, name: str) -> dict[str, Any]:
    assert answer.model_extra is not None
    found: dict[str, Any] = answer.model_extra[name]
    return found


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 256 * 1024):
        yield content[start:start + 256 * 1024]
