"""Typed stores over Redis: every transition that must be atomic is one script behind one method."""
