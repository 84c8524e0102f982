"""Version of longshore, as the installed distribution states it."""

from importlib import metadata

DISTRIBUTION = "longshore-mcp"  # on PyPI, `longshore` is another project


def running_version() -> str:
    """Version of this installation; "unknown" in a source tree that is not installed."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


# Sent to MCP peers: as `clientInfo` to upstreams, as `serverInfo` to clients.
OWN_INFO = {"name": "longshore", "version": running_version()}
