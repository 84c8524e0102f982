"""Export of traces, metrics and logs by OTLP. Imported where `telemetry.enabled` says so, and nowhere else."""
