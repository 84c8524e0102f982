"""Metric families that gateways and workers share: the process, its Redis, and totals over all processes."""

import platform
import socket

from prometheus_client import CollectorRegistry, Gauge, Histogram

from longshore.shared.state.totals import Totals
from longshore.shared.version import running_version

_SHORT_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class ProcessMetrics:
    """Metric families of every process. The totals are the same in each: take their `max`, never their `sum`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self.sessions = gauge("longshore_sessions", "Live sessions, of all gateways.")
        self.files = gauge("longshore_files", "Files in storage.", "kind")
        self.stored_bytes = gauge("longshore_stored_bytes", "Bytes of the files in storage.")
        self.queue_depth = gauge("longshore_queue_depth", "Jobs in the queue, running ones included.")
        self.queue_age = gauge(
            "longshore_queue_age_seconds", "Age of the oldest due job; 0 where none waits."
        )
        self.workers = gauge("longshore_workers", "Workers that live.")
        self.redis_up = gauge("longshore_redis_up", "1 while Redis answers this process.")
        self.redis_seconds = Histogram(
            "longshore_redis_round_trip_seconds", "Time of a Redis round trip, measured once a second.",
            registry=registry, buckets=_SHORT_BUCKETS,
        )
        self.loop_lag = Histogram(
            "longshore_event_loop_lag_seconds", "Lag of the event loop, measured once a second.",
            registry=registry, buckets=_SHORT_BUCKETS,
        )
        build = gauge("longshore_build_info", "What runs, and where.", "version", "python", "replica")
        build.labels(running_version(), platform.python_version(), socket.gethostname()).set(1)

    def set_totals(self, totals: Totals) -> None:
        """Set the gauges of the totals."""
        self.sessions.set(totals.sessions)
        self.files.labels("upload").set(totals.uploads)
        self.files.labels("artifact").set(totals.artifacts)
        self.stored_bytes.set(totals.stored_bytes)
        self.queue_depth.set(totals.queued)
        self.queue_age.set(totals.oldest_due_ms / 1000)
        self.workers.set(totals.workers)
