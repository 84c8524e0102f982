"""Replies to clients: JSON bodies, event streams, batches, errors."""
