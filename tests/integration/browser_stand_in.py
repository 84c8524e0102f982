"""The file tools of the Playwright MCP server by name and arguments, without a browser.

Usage: python browser_stand_in.py PORT
"""

import asyncio
import hashlib
import struct
import sys
import zlib
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("browser-stand-in")


@server.tool()
def browser_file_upload(paths: list[str]) -> str:
    """Say the digest of each file."""
    return " ".join(hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths)


@server.tool()
def browser_take_screenshot(filename: str = "page.png") -> str:
    """Write a PNG of one grey pixel to `filename`."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0\x80\x80\x80")), (b"IEND", b"")]
    Path(filename).write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks))
    return f"Saved {Path(filename).name}"


@server.tool()
async def browser_wait_for(signal: str, context: Context) -> str:
    """Report progress once, then wait until the file `signal` is there."""
    await context.report_progress(1, 2, "waiting")
    while not Path(signal).exists():
        await asyncio.sleep(0.02)
    return "seen"


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
