"""Lists the tools of an upstream for the gateway itself, in either era, with the server's `serverInfo`."""

from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.discover import discover
from longshore.gateway.upstream.headers import ACCEPT_BOTH
from longshore.gateway.upstream.rpc import end_session, notify, request
from longshore.gateway.wire import jsonrpc, modern
from longshore.gateway.wire.tool_lists import Tool
from longshore.shared.errors import UpstreamDown
from longshore.shared.version import OWN_INFO

TIMEOUT_S = 10.0
_VERSION = "2025-06-18"      # known to all legacy servers
_MAX_PAGES = 50


class _ToolPage(msgspec.Struct):
    tools: list[Tool] = []
    next_cursor: str | None = msgspec.field(default=None, name="nextCursor")


class _Initialized(msgspec.Struct):
    protocol: str = msgspec.field(name="protocolVersion")
    capabilities: dict[str, Any] = {}
    server_info: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw, name="serverInfo")


@dataclass(frozen=True, slots=True)
class ToolListing:
    """Tools and `serverInfo` of a server."""

    tools: list[Tool]
    server_info: bytes = b""     # JSON, b"" for none


async def list_modern(client: UpstreamClient, extra: dict[str, str]) -> ToolListing:
    """List the tools of a modern server. Raises UpstreamDown, UpstreamTimeout."""
    headers = {**extra, "Content-Type": "application/json", **ACCEPT_BOTH}
    found = await discover(client, headers, timeout_s=TIMEOUT_S)
    if "tools" not in jsonrpc.open_object(found.get("capabilities", msgspec.Raw(b"{}"))):
        return ToolListing([])
    return ToolListing(await _tools(client, headers | modern.request_headers("tools/list"), {"_meta": modern.OWN_META}))


async def list_legacy(client: UpstreamClient, extra: dict[str, str]) -> ToolListing:
    """List the tools of a legacy server in a session that is ended again. Raises UpstreamDown, CredentialsRequired."""
    headers = {**extra, "Content-Type": "application/json", **ACCEPT_BOTH}
    params = {"protocolVersion": _VERSION, "capabilities": {}, "clientInfo": OWN_INFO}
    response, session_id = await request(client, headers, "initialize", params)
    try:
        initialized = msgspec.json.decode(response.get("result", b"{}"), type=_Initialized)
    except msgspec.DecodeError:
        raise UpstreamDown("the upstream server refused initialize") from None
    headers["MCP-Protocol-Version"] = initialized.protocol
    if session_id:
        headers["Mcp-Session-Id"] = session_id
    try:
        await notify(client, headers, "notifications/initialized")
        tools = await _tools(client, headers, {}) if "tools" in initialized.capabilities else []
        info = bytes(initialized.server_info)
        return ToolListing(tools, info if info[:1] == b"{" else b"")
    finally:
        if session_id:
            await end_session(client, headers)


async def _tools(client: UpstreamClient, headers: dict[str, str], base: dict[str, Any]) -> list[Tool]:
    tools: list[Tool] = []
    params = base
    for _ in range(_MAX_PAGES):
        response, _ = await request(client, headers, "tools/list", params)
        try:
            page = msgspec.json.decode(response.get("result", b"{}"), type=_ToolPage)
        except msgspec.DecodeError:
            raise UpstreamDown("the upstream server's tool list is malformed") from None
        tools += page.tools
        if page.next_cursor is None:
            break
        params = {**base, "cursor": page.next_cursor}
    return tools
