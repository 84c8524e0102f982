"""Download routes: artifacts, byte ranges, sendfile."""
