"""Gateway process: MCP and HTTP to clients, MCP to upstreams. It keeps nothing that a client would miss."""
