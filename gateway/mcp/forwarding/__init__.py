"""Forwarding of one message to the upstream, and relaying of its answer."""
