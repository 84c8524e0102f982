"""HTTP server: aiohttp's runner and connections, with what longshore adds to them."""
