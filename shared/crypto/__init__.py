"""Signed links and sealed tokens."""
