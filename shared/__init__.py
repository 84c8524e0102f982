"""What gateway and workers agree on: records, jobs, keys, storage layout, configuration, state."""
