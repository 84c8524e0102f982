"""Files of one `tools/call`: arguments before it, outputs after it."""
