"""JSON-RPC and SSE as bytes: parsed as far as needed, put together again. Pure, below everything."""
