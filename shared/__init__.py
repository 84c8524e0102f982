"""Code shared by gateways and workers: configuration, records, jobs, state in Redis, storage, telemetry."""
