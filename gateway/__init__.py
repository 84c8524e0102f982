"""The stateless aiohttp gateway: MCP and HTTP to clients, MCP to upstreams."""
