"""The HTTP requests of the benches, whole, as a legacy client sends them."""

import asyncio
import re

from tests.bench.stand import Way
from tests.bench.wrk import SESSION

_INITIALIZE = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"clientInfo":{"name":"bench","version":"1"}}}'
)
_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
_LIST = b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}'
_CALL = (
    b'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"%b","arguments":{"text":"' + b"question " * 18
    + b'"},"_meta":{"progressToken":3}}}'
)
_META = (
    b'"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},'
)
_FOUND_SESSION = re.compile(rb"\r\nmcp-session-id:\s*(\S+)", re.IGNORECASE)


def _post(way: Way, port: int, body: bytes, session: bytes = b"") -> bytes:
    head = (
        f"POST {way.target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n"
        f"User-Agent: bench\r\nContent-Length: {len(body)}\r\n"
    ).encode()
    return head + (b"Mcp-Session-Id: " + session + b"\r\n" if session else b"") + b"\r\n" + body


async def open_session(way: Way, port: int) -> bytes:
    """The id of a fresh session."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_post(way, port, _INITIALIZE))
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    found = _FOUND_SESSION.search(head)
    if found is None:
        raise RuntimeError(f"{way.name} opened no session: {head.decode()}")
    return found[1]


def call(way: Way, port: int, session: bytes, *, tool: bytes = b"say") -> bytes:
    """One `tools/call` of some 300 bytes; the answer has some 400, or 1 MiB from the tool `large`."""
    return _post(way, port, _CALL % tool, session)


def modern_call(way: Way, port: int) -> bytes:
    """The same call in the modern revision: no session, but headers that mirror the body."""
    head, _, body = _post(way, port, (_CALL % b"say").replace(b'"_meta":{', _META)).partition(b"\r\n\r\n")
    head = head.replace(b"MCP-Protocol-Version: 2025-11-25", b"MCP-Protocol-Version: 2026-07-28")
    return head + b"\r\nMcp-Method: tools/call\r\nMcp-Name: say\r\n\r\n" + body


def listen(way: Way, port: int, session: bytes) -> bytes:
    """A GET for the standing stream."""
    return (
        f"GET {way.target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n"
        "MCP-Protocol-Version: 2025-11-25\r\n"
    ).encode() + b"Mcp-Session-Id: " + session + b"\r\n\r\n"


def handshake(way: Way, port: int) -> list[bytes]:
    """initialize, initialized, tools/list: what a client sends before it can do anything."""
    return [
        _post(way, port, _INITIALIZE), _post(way, port, _INITIALIZED, SESSION), _post(way, port, _LIST, SESSION)
    ]
