"""Jobs of the storage worker, one per file."""
