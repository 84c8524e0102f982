"""Demo MCP server, independent of longshore: its tools take paths of its own machine.

    python -m longshore.cli.demo.upstream FD

Serves Streamable HTTP at /mcp on the listening socket that it inherits as descriptor FD: its port is known before it
runs, and does not change at a restart.
"""

import asyncio
import hashlib
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from longshore.cli.demo import pdf

_FIRST_LINES = 3
_MAX_LINE = 100
_BODY = ["Written by the demonstration server, to a path of its own machine.", "longshore carried it to you."]


class Inspection(BaseModel):
    """Result of `inspect_file`."""

    size_bytes: int = Field(description="size of the file")
    sha256: str = Field(description="digest of the whole file, lowercase hex")
    first_lines: list[str] = Field(description="its first lines, shortened")


class Report(BaseModel):
    """Result of `make_report`."""

    message: str = Field(description="what was done")
    size_bytes: int = Field(description="size of the report")


def build() -> MCPServer:
    """Build the server with its two tools."""
    server: MCPServer = MCPServer(
        "longshore-demo",
        version="1.0.0",
        instructions="inspect_file reads a file by its path; make_report writes a PDF to a path.",
        log_level="WARNING",
    )
    server.tool()(inspect_file)
    server.tool()(make_report)
    return server


def inspect_file(path: str) -> Inspection:
    """Read the file at `path`: its size, its sha256 and its first lines."""
    with _report_os_errors(), Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        size_bytes = file.tell()
        file.seek(0)
        lines = [file.readline(_MAX_LINE) for _ in range(_FIRST_LINES)]
    shown = [line.decode("utf-8", errors="replace").rstrip("\r\n") for line in lines if line]
    return Inspection(size_bytes=size_bytes, sha256=digest.hexdigest(), first_lines=shown)


def make_report(output_path: str, title: str) -> Report:
    """Write a one-page PDF with `title` to `output_path`."""
    content = pdf.page(title, _BODY)
    with _report_os_errors():
        Path(output_path).write_bytes(content)
    return Report(message=f"wrote “{title}”", size_bytes=len(content))


@contextmanager
def _report_os_errors() -> Iterator[None]:
    """Report an OSError to the caller as a tool error."""
    try:
        yield
    except OSError as err:
        raise ToolError(f"{err.filename}: {err.strerror}") from err


async def serve(listening: socket.socket) -> None:
    """Serve on `listening` until SIGTERM or SIGINT."""
    app = build().streamable_http_app(host="127.0.0.1")
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    await uvicorn.Server(config).serve(sockets=[listening])


def main() -> None:
    """Serve on the inherited socket."""
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
