"""Requests of a server to the client in the middle of a call, for clients of both eras."""
