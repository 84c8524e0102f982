"""An upstream of both eras, made with the official SDK. Usage: python dual_era_server.py PORT"""

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("both-eras", instructions="Ask for the tide.")


@server.tool()
def tide(harbour: str) -> str:
    """The state of the tide in a harbour."""
    return f"high water in {harbour}"


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
