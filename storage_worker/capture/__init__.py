"""Capture of files that a tool wrote: candidates, checks of their paths, and the move into storage."""
