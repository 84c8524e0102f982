"""Sweep of what no record points at."""
