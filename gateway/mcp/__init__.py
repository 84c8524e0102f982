"""MCP between client and upstream: sessions, relaying, and the lists that longshore adds to."""
