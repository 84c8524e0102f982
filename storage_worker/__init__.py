"""Storage worker, run by arq: finalises uploads and artifacts, expires files and sessions, removes orphaned files."""
