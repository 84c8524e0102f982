"""MCP between client and upstream: endpoints, methods, sessions, forwarding, replies."""
