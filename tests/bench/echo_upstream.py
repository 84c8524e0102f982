"""The upstream of the benches: as little server as MCP allows, so that what is measured is what stands before it.

`python -m tests.bench.echo_upstream PORT [modern]`. It answers `initialize`, `tools/list` and `tools/call`; the tool
`large` answers with 1 MiB; a GET opens a stream on which nothing is ever said. With `modern` it speaks the modern
revision instead. It trusts its callers to send whole messages with a Content-Length.
"""

import asyncio
import re
import sys
from functools import partial
from typing import cast

import uvloop

LARGE_BYTES = 1024 * 1024

_ID = re.compile(rb'"id":\s*([^,}\s]+)')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_SESSION = b"Mcp-Session-Id: 0123456789abcdef0123456789abcdef\r\n"
_TOOLS = b",".join(
    b'{"name":"tool_%d","description":"Says what it is told, as tool number %d of eight.","inputSchema":{"type":'
    b'"object","properties":{"text":{"type":"string","description":"What to say"}},"required":["text"]}}' % (n, n)
    for n in range(8)
)
_STANDING = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_RESULTS = {
    b'"method":"initialize"': b'{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},'
    b'"serverInfo":{"name":"echo","version":"1"}}',
    b'"method":"tools/list"': b'{"tools":[' + _TOOLS + b"]}",
    b'"name":"large"': b'{"content":[{"type":"text","text":"' + b"x" * LARGE_BYTES + b'"}]}',
    b'"method":"tools/call"': b'{"content":[{"type":"text","text":"' + b"answer " * 48 + b'"}],"isError":false}',
}
_MODERN_RESULTS = {
    b'"method":"server/discover"': b'{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":'
    b'{"tools":{}},"serverInfo":{"name":"echo","version":"1"},"ttlMs":60000,"cacheScope":"public"}',
    **{
        mark: b'{"resultType":"complete",' + result[1:]
        for mark, result in _RESULTS.items() if b"initialize" not in mark
    },
}


class Echo(asyncio.Protocol):
    """One connection: requests in, answers out, in order."""

    def __init__(self, results: dict[bytes, bytes]) -> None:
        self._results = results
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._buffer += data
        while (head_end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, head_end)
            end = head_end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < end:
                return
            if self._buffer.startswith(b"GET "):
                self._transport.write(_STANDING)
            else:
                self._transport.write(_answer(self._results, self._buffer[head_end + 4:end]))
            self._buffer = self._buffer[end:]


def _answer(results: dict[bytes, bytes], body: bytes) -> bytes:
    message_id = _ID.search(body)
    if message_id is None:
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    for mark, result in results.items():
        if mark in body:
            answer = b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (message_id[1], result)
            session = _SESSION if b"initialize" in mark else b""
            return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
                session, len(answer), answer,
            )
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


async def _serve(port: int, era: str = "") -> None:
    echo = partial(Echo, _MODERN_RESULTS if era == "modern" else _RESULTS)
    server = await asyncio.get_running_loop().create_server(echo, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), *sys.argv[2:]))
