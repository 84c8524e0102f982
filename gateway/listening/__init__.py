"""Listening for changes: one stream of the upstream's for all who do, whichever gateway they are at."""
