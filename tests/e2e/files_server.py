"""An upstream whose tools read and write files, made with the official SDK. Usage: python files_server.py PORT"""

import hashlib
import shutil
import sys
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("files")


@server.tool()
def digest(path: str) -> str:
    """The SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@server.tool()
def copy(source: str, target: str) -> str:
    """A copy of a file."""
    shutil.copyfile(source, target)
    return "copied"


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
