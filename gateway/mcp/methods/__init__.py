"""Handlers of the MCP methods that longshore answers or changes, one file each."""
