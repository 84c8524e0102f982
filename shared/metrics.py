"""Prometheus metric families of gateways and workers, on a private registry of each process.

Names and labels are API: dashboards of the reference product read them. Labels are bounded: server ids
of the configuration (`global` or `unknown` where there is none), route templates, fixed lists of results.
"""

from functools import cached_property

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from longshore.shared.process_metrics import ProcessMetrics

_HTTP = (
    "server_id", "http_request_method", "adapter_route_group", "http_response_status_code",
    "http_response_status_class",
)
_CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_JOB_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class GatewayMetrics:
    """Metric families of a gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._http()
        self._uploads()
        self._downloads()
        self._calls()
        self.sessions = _lifecycle(registry)
        self.jobs_enqueued = self._counter("longshore_jobs_enqueued_total", "Jobs handed to the workers.", "job")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def _seconds(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(name, text, labels, registry=self._registry, buckets=_CALL_BUCKETS)

    def _http(self) -> None:
        counter = self._counter
        self.http_requests = counter("adapter_http_requests_total", "HTTP requests at the gateway's edge.", *_HTTP)
        self.http_seconds = self._seconds(
            "adapter_http_request_duration_seconds", "Duration of HTTP requests; streams count until their end.", *_HTTP
        )
        self.auth_rejections = counter(
            "adapter_auth_rejections_total", "Requests refused for their credentials.", "server_id", "reason",
            "adapter_route_group",
        )
        self.request_rejections = counter(
            "adapter_request_rejections_total", "Requests refused for another reason.", "server_id",
            "adapter_route_group", "reason", "http_response_status_code", "http_response_status_class",
        )
        self.streams_open = Gauge("longshore_streams_open", "Event streams open to clients.", registry=self._registry)
        self.first_byte_seconds = self._seconds(
            "longshore_stream_first_byte_seconds", "From a request to the first bytes of the stream that answers it.",
            "server_id",
        )
        self.message_bytes = counter(
            "longshore_message_bytes_total", "Bytes of MCP messages, by whether clients sent or got them.",
            "server_id", "direction",
        )

    def _uploads(self) -> None:
        counter = self._counter
        self.upload_batches = counter("adapter_upload_batches_total", "Upload requests accepted.", "server_id")
        self.upload_files = counter("adapter_upload_files_total", "Files accepted.", "server_id")
        self.upload_bytes = counter("adapter_upload_bytes_total", "Bytes of accepted files.", "server_id")
        self.upload_failures = counter(
            "adapter_upload_failures_total", "Uploads refused or failed.", "server_id", "reason"
        )
        self.nonce_operations = counter(
            "adapter_nonce_operations_total", "One-time credentials reserved and consumed.", "server_id", "operation",
            "result", "backend",
        )
        self.credentials = counter(
            "adapter_upload_credentials_total", "Signed links issued and checked.", "server_id", "operation", "result",
            "backend",
        )

    def _downloads(self) -> None:
        counter = self._counter
        self.downloads = counter(
            "adapter_artifact_downloads_total", "Artifact downloads tried.", "server_id", "result", "auth_mode"
        )
        self.download_bytes = counter(
            "adapter_artifact_download_bytes_total", "Bytes of artifacts served.", "server_id", "result", "auth_mode"
        )
        self.download_seconds = self._seconds(
            "adapter_artifact_download_duration_seconds", "Duration of artifact downloads.", "server_id", "result",
            "auth_mode",
        )

    def _calls(self) -> None:
        counter = self._counter
        self.tool_calls = counter(
            "adapter_upstream_tool_calls_total", "Tool calls sent upstream.", "server_id", "tool_name", "result"
        )
        self.tool_call_seconds = self._seconds(
            "adapter_upstream_tool_call_duration_seconds", "Duration of tool calls sent upstream.", "server_id",
            "tool_name", "result",
        )
        self.wiring_runs = counter(
            "adapter_adapter_wiring_runs_total", "Passes that match adapters to upstream tools.", "server_id", "result"
        )
        self.wiring_not_ready = Gauge(
            "adapter_adapter_wiring_not_ready_servers", "Servers not ready after the last pass.", ["server_id"],
            registry=self._registry,
        )
        self.calls_waiting = Gauge(
            "longshore_calls_waiting", "Calls that wait for input that their server has requested.",
            registry=self._registry,
        )


class WorkerMetrics:
    """Metric families of a worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.jobs_finished = Counter(
            "longshore_jobs_finished_total", "Runs of jobs by how they ended.", ["job", "result"], registry=registry
        )
        self.job_seconds = Histogram(
            "longshore_job_duration_seconds", "Duration of runs of jobs.", ["job"], registry=registry,
            buckets=_JOB_BUCKETS,
        )
        self.job_wait_seconds = Histogram(
            "longshore_job_wait_seconds", "Time from when a job was due to when a worker claimed it.",
            registry=registry, buckets=_JOB_BUCKETS,
        )
        self.job_finish_seconds = Histogram(
            "longshore_job_finish_seconds", "Time from a job's being enqueued to its end, retries included.", ["job"],
            registry=registry, buckets=_JOB_BUCKETS,
        )
        self.sessions = _lifecycle(registry)
        self.jobs_lost = Counter(
            "longshore_job_claims_lost_total", "Claims that passed to another worker while this one ran the job.",
            registry=registry,
        )
        self.cleanup_cycles = Counter(
            "adapter_cleanup_cycles_total", "Clean-up cycles.", ["server_id", "status"], registry=registry
        )
        self.cleanup_removed = Counter(
            "adapter_cleanup_removed_records_total", "What clean-up cycles removed.", ["server_id", "bucket"],
            registry=registry,
        )


class Metrics:
    """All metric families of one process. Built once at start-up; the admin port serves `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.process = ProcessMetrics(self.registry)

    @cached_property
    def gateway(self) -> GatewayMetrics:
        """Return the families of a gateway, created at the first access."""
        return GatewayMetrics(self.registry)

    @cached_property
    def worker(self) -> WorkerMetrics:
        """Return the families of a worker, created at the first access."""
        return WorkerMetrics(self.registry)


def _lifecycle(registry: CollectorRegistry) -> Counter:
    """Counter of session transitions: gateways count starts, workers count ends."""
    return Counter(
        "adapter_sessions_lifecycle_total", "Session transitions.", ["server_id", "event"], registry=registry
    )
