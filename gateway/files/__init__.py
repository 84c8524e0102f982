"""Files in tool calls: handles become paths on the way in, written files become artifacts on the way out."""
