"""Capture of what a tool wrote: which files, from where, with which checks."""
