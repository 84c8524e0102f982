"""The `longshore` command line."""
