"""Figures of `longshore top`, summed over the metrics of several processes. Pure."""

from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


class ServerFigures(msgspec.Struct, kw_only=True):
    """Tool calls of one server since the processes started."""

    calls: int = 0
    failed: int = 0
    seconds: float = 0.0


class Figures(msgspec.Struct, kw_only=True):
    """Sum of all processes: counts since they started, and current values."""

    answered: int = 0                # number of processes that answered
    silent: list[str] = []           # URLs without an answer
    redis_up: bool = True            # in all that answered
    sessions: int = 0
    streams: int = 0
    uploads: int = 0
    artifacts: int = 0
    stored_bytes: int = 0
    workers: int = 0
    queued: int = 0
    oldest_due_s: float = 0.0
    requests: int = 0
    failed_requests: int = 0         # 5xx
    message_bytes: int = 0
    uploaded_bytes: int = 0
    downloaded_bytes: int = 0
    jobs: dict[str, int] = {}        # finished runs by result
    servers: dict[str, ServerFigures] = {}


_GAUGES = {
    "longshore_sessions": "sessions", "longshore_stored_bytes": "stored_bytes", "longshore_workers": "workers",
    "longshore_queue_depth": "queued",
}
_COUNTERS = {
    "longshore_streams_open": "streams", "adapter_http_requests_total": "requests",
    "longshore_message_bytes_total": "message_bytes", "adapter_upload_bytes_total": "uploaded_bytes",
    "adapter_artifact_download_bytes_total": "downloaded_bytes",
}
_CALLS, _CALL_S = "adapter_upstream_tool_calls_total", "adapter_upstream_tool_call_duration_seconds_sum"


def add_metrics(figures: Figures, text: str) -> None:
    """Add the metrics of one process, in the text format of /metrics. Raises ValueError for any other text."""
    try:
        samples = list(_samples(text_string_to_metric_families(text)))
    except (ValueError, IndexError, KeyError) as err:    # raised by the parser, often without a message
        raise ValueError("no metrics") from err
    if not samples:
        raise ValueError("no metrics")
    for sample in samples:
        _add(figures, sample)
    figures.answered += 1


def _samples(families: Iterable[Metric]) -> Iterator[Sample]:
    for family in families:
        yield from family.samples


def _add(figures: Figures, sample: Sample) -> None:
    name, labels, value = sample.name, sample.labels, sample.value
    if (field := _GAUGES.get(name)) is not None:      # the same in every process
        setattr(figures, field, max(getattr(figures, field), int(value)))
    elif (field := _COUNTERS.get(name)) is not None:
        setattr(figures, field, getattr(figures, field) + int(value))
    if name == "longshore_files":
        kind = "uploads" if labels["kind"] == "upload" else "artifacts"
        setattr(figures, kind, max(getattr(figures, kind), int(value)))
    elif name == "longshore_queue_age_seconds":
        figures.oldest_due_s = max(figures.oldest_due_s, value)
    elif name == "longshore_redis_up":
        figures.redis_up = figures.redis_up and value == 1
    elif name == "adapter_http_requests_total" and labels["http_response_status_class"] == "5xx":
        figures.failed_requests += int(value)
    elif name == "longshore_jobs_finished_total":
        figures.jobs[labels["result"]] = figures.jobs.get(labels["result"], 0) + int(value)
    elif name in (_CALLS, _CALL_S):
        _add_call(figures.servers.setdefault(labels["server_id"], ServerFigures()), sample)


def _add_call(server: ServerFigures, sample: Sample) -> None:
    if sample.name == _CALL_S:
        server.seconds += sample.value
        return
    server.calls += int(sample.value)
    if sample.labels["result"] == "error":
        server.failed += int(sample.value)
