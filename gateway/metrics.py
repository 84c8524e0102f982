"""Gateway metrics as events, one method for each. Label values are bounded here or by the caller."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from aiohttp import web
from prometheus_client import Counter, Histogram

from longshore.shared.metrics import GatewayMetrics
from longshore.shared.tracing import exemplar

HTTP_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BACKEND = "redis"
AuthMode = Literal["signed_url", "session_context"]
Result = Literal["success", "error"]


class _TimedCounter(NamedTuple):
    """Counter and histogram of one event with their labels set: looking them up costs more than counting."""

    ended: Counter
    seconds: Histogram

    def add(self, duration_s: float) -> None:
        self.ended.inc()
        self.seconds.observe(duration_s, exemplar())


class GatewayEvents:
    """Metric families of the gateway as events. Built once at start-up."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._http: dict[tuple[str, str, str, int], _TimedCounter] = {}
        self._rejected: dict[tuple[str, str, str, int], Counter] = {}
        self._tools: dict[tuple[str, str, str], _TimedCounter] = {}
        self._bytes: dict[str, tuple[Counter, Counter]] = {}

    def http_request(self, *, server: str, method: str, route_group: str, status: int, duration_s: float) -> None:
        """Count one HTTP request. Methods that HTTP does not define count as OTHER."""
        key = (server, method if method in HTTP_METHODS else "OTHER", route_group, status)
        timed = self._http.get(key)
        if timed is None:
            labels = (*key[:3], str(status), f"{status // 100}xx")
            timed = self._http[key] = _TimedCounter(
                self._metrics.http_requests.labels(*labels), self._metrics.http_seconds.labels(*labels)
            )
        timed.add(duration_s)

    def rejected(self, *, server: str, route_group: str, reason: str, status: int) -> None:
        """Count a refused request; those with status 401 and 403 are counted as refused for their credentials."""
        key = (server, route_group, reason, status)
        counter = self._rejected.get(key)
        if counter is None:
            if status in (401, 403):
                counter = self._metrics.auth_rejections.labels(server, reason, route_group)
            else:
                counter = self._metrics.request_rejections.labels(*key[:3], str(status), f"{status // 100}xx")
            self._rejected[key] = counter
        counter.inc()

    def tool_call(self, *, server: str, tool: str, result: Result, duration_s: float) -> None:
        """Count a tool call sent upstream. `tool` is a name that the upstream lists, else `other`."""
        key = (server, tool, result)
        timed = self._tools.get(key)
        if timed is None:
            timed = self._tools[key] = _TimedCounter(
                self._metrics.tool_calls.labels(*key), self._metrics.tool_call_seconds.labels(*key)
            )
        timed.add(duration_s)

    def uploaded(self, *, server: str, files: int, size_bytes: int) -> None:
        """Count an accepted upload request, its files and their bytes."""
        self._metrics.upload_batches.labels(server).inc()
        self._metrics.upload_files.labels(server).inc(files)
        self._metrics.upload_bytes.labels(server).inc(size_bytes)

    def upload_failed(self, *, server: str, reason: str) -> None:
        """Count an upload request that was refused or failed."""
        self._metrics.upload_failures.labels(server, reason).inc()

    def credential(self, *, server: str, operation: Literal["issue", "validate"], result: Result) -> None:
        """Count a signed upload link that was issued or verified."""
        self._metrics.credentials.labels(server, operation, result, _BACKEND).inc()

    def nonce(self, *, server: str, operation: Literal["reserve", "consume"], result: Result) -> None:
        """Count the claim or the consumption of a one-time link."""
        self._metrics.nonce_operations.labels(server, operation, result, _BACKEND).inc()

    def download(self, *, server: str, auth_mode: AuthMode, result: Result, size_bytes: int, duration_s: float) -> None:
        """Count an answered artifact download."""
        self._metrics.downloads.labels(server, result, auth_mode).inc()
        self._metrics.download_bytes.labels(server, result, auth_mode).inc(size_bytes)
        self._metrics.download_seconds.labels(server, result, auth_mode).observe(duration_s, exemplar())

    def download_failed(self, *, server: str, signed: bool, duration_s: float) -> None:
        """Count an artifact download that was refused, or cut off for a known reason."""
        mode: AuthMode = "signed_url" if signed else "session_context"
        self.download(server=server, auth_mode=mode, result="error", size_bytes=0, duration_s=duration_s)

    def adapter_check(self, *, server: str, ready: bool) -> None:
        """Count one check of a server's adapters against its tools."""
        self._metrics.wiring_runs.labels(server, "success" if ready else "error").inc()
        self._metrics.wiring_not_ready.labels(server).set(0 if ready else 1)

    def job_enqueued(self, job: str) -> None:
        """Count a job that was enqueued."""
        self._metrics.jobs_enqueued.labels(job).inc()

    def watch_open_streams(self, count: Callable[[], int]) -> None:
        """Register the function that counts open streams."""
        self._metrics.streams_open.set_function(count)

    def watch_waiting_calls(self, count: Callable[[], int]) -> None:
        """Register the function that counts calls that wait for their clients."""
        self._metrics.calls_waiting.set_function(count)

    def first_byte(self, *, server: str, after_s: float) -> None:
        """Observe the time to the first bytes of a response stream."""
        self._metrics.first_byte_seconds.labels(server).observe(after_s, exemplar())

    def messages(self, *, server: str, received: int, sent: int) -> None:
        """Count the bytes of one request's body and of its response's."""
        found = self._bytes.get(server)
        if found is None:
            of = self._metrics.message_bytes.labels
            found = self._bytes[server] = of(server, "received"), of(server, "sent")
        found[0].inc(received)
        found[1].inc(sent)

    def session_event(self, *, server: str, event: str) -> None:
        """Count a session event, from a fixed list."""
        self._metrics.sessions.labels(server, event).inc()


METRICS = web.AppKey("metrics", GatewayEvents)
