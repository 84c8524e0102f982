"""Calls of clients of the stateless revision that a server of the session era asks something in between."""
