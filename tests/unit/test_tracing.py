"""Spans: their parents, their ids in log lines, and the drops of a full export queue."""

import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Counter

from longshore.shared import tracing
from longshore.shared.clock import monotonic_s
from longshore.shared.otlp.batches import Batches, Bounds
from longshore.shared.otlp.logs import Line, OtlpHandler
from longshore.shared.otlp.spans import RecordedSpan, RecordedTraces, parent_of

T = TypeVar("T")

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
BOUNDS = Bounds(max_waiting=100, batch_size=100, every_s=60)


def counter() -> Counter:
    return Counter("dropped", "Dropped.", registry=CollectorRegistry())


def count(dropped: Counter) -> float:
    return float(next(iter(dropped.collect())).samples[0].value)


def _into(sent: list[T]) -> Callable[[list[T]], bool]:
    def export(batch: list[T]) -> bool:
        sent.extend(batch)
        return True

    return export


@pytest.mark.parametrize(
    "text",
    ["", "00", PARENT.upper(), PARENT.replace("00-", "ff-", 1), f"00-{'0' * 32}-b7ad6b7169203331-01", PARENT + "-x",
     f"00-{TRACE}-{'0' * 16}-01", PARENT + "\n", "0" * 100_000],
)
def test_a_malformed_traceparent_counts_as_absent(text: str) -> None:
    assert parent_of(text) is None


def test_a_failure_marks_the_span_and_its_parents() -> None:
    ended: list[RecordedSpan] = []
    spans: Batches[RecordedSpan] = Batches(_into(ended), BOUNDS, counter(), name="test")
    traces = RecordedTraces(spans, 1.0)

    with pytest.raises(KeyError), tracing.continue_trace(traces, "outer", "server", PARENT), tracing.child("inner"):
        raise KeyError
    spans.close(until_s=monotonic_s() + 5, flush=True)

    sent = [span.readable(Resource({})) for span in ended]
    assert [span.name for span in sent] == ["inner", "outer"]
    assert all(span.attributes is not None and span.attributes["error.type"] == "KeyError" for span in sent)
    assert tracing.traceparent() == ""


def test_an_exported_log_line_is_redacted_and_names_its_trace() -> None:
    sent: list[Line] = []
    lines: Batches[Line] = Batches(_into(sent), BOUNDS, counter(), name="test")
    spans: Batches[RecordedSpan] = Batches(lambda batch: True, BOUNDS, counter(), name="test")
    handler = OtlpHandler(lines, ["a-configured-secret"])
    record = logging.LogRecord("tests", logging.WARNING, "", 1, "Bearer abcdefghij a-configured-secret", None, None)

    with tracing.continue_trace(RecordedTraces(spans, 1.0), "request", "server", PARENT):
        handler.emit(record)
    for batches in (lines, spans):
        batches.close(until_s=monotonic_s() + 5, flush=True)

    [line] = [each.readable(Resource({})) for each in sent]
    assert line.log_record.body == "Bearer [hidden] [hidden]"
    assert f"{line.log_record.trace_id:032x}" == TRACE
    assert line.log_record.attributes is not None
    assert line.log_record.attributes["trace_id"] == TRACE


def test_an_export_that_hangs_does_not_block_its_process() -> None:
    hangs, begun = threading.Event(), threading.Event()
    dropped = counter()

    def export(batch: list[int]) -> bool:
        begun.set()
        return hangs.wait(10)

    batches: Batches[int] = Batches(export, Bounds(max_waiting=3, batch_size=1, every_s=60), dropped, name="test")
    batches.put(0)
    assert begun.wait(5)

    for number in range(10):
        batches.put(number)
    batches.close(until_s=monotonic_s(), flush=True)

    assert count(dropped) == 7 + 3 + 1    # found no place, waited, was under way
    hangs.set()


def test_a_process_without_telemetry_never_imports_the_sdk() -> None:
    code = (
        "import sys, longshore.gateway.app, longshore.storage_worker.worker; "
        "sys.exit(any(name.startswith(('opentelemetry.sdk', 'grpc')) for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
