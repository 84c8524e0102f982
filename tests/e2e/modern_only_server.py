"""An upstream of the modern revision alone, made with the official SDK.

Usage: python -m tests.e2e.modern_only_server PORT
"""

import sys

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.e2e import input_server

_VERSION = "2026-07-28"
server = MCPServer("modern-only", instructions="Ask for the tide.")


@server.tool()
async def tide(harbour: str, context: Context) -> str:
    """The state of the tide in a harbour."""
    await context.report_progress(1, 2)
    return f"high water in {harbour}"


@server.tool()
def read(path: str) -> str:
    """Content of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


@server.resource("sea://chart")
def chart() -> str:
    """A chart."""
    return "here be dragons"


@server.prompt()
def ask(harbour: str) -> str:
    """A question."""
    return f"When is high water in {harbour}?"


input_server.add_to(server)


def refusing(app: ASGIApp) -> ASGIApp:
    """`app` for requests of the revision; to all others that it does not speak theirs."""

    async def only(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", []))
        if scope["type"] == "http" and headers.get(b"mcp-protocol-version", b"").decode() != _VERSION:
            data = {"supported": [_VERSION], "requested": "unknown"}
            error = {"code": -32022, "message": "Unsupported protocol version", "data": data}
            await JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 400)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return only


if __name__ == "__main__":
    uvicorn.run(refusing(server.streamable_http_app()), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
