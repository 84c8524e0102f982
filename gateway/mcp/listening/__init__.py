"""Streams of changes, between clients and servers of different eras."""
