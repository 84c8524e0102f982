"""The Prometheus registry as OTLP metrics, under the same names. Pure but for reading the registry."""

from collections.abc import Iterable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

from shared.otlp.messages import SCOPE, pairs

_CUMULATIVE = AGGREGATION_TEMPORALITY_CUMULATIVE
_Labels = tuple[tuple[str, str], ...]


def encoded(registry: CollectorRegistry, resource: Resource, *, since_ns: int, now_ns: int) -> bytes:
    """Every family as it stands at `now_ns`; counts began at `since_ns`."""
    found = [_metric(family, since_ns, now_ns) for family in registry.collect()]
    scope = ScopeMetrics(scope=SCOPE, metrics=[metric for metric in found if metric is not None])
    request = ExportMetricsServiceRequest(resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=[scope])])
    body: bytes = request.SerializeToString()
    return body


def _metric(family: Family, since_ns: int, now_ns: int) -> Metric | None:
    if family.type == "counter":
        samples = [sample for sample in family.samples if sample.name.endswith("_total")]
        data = Sum(
            data_points=_numbers(samples, since_ns, now_ns), aggregation_temporality=_CUMULATIVE, is_monotonic=True
        )
        return Metric(name=f"{family.name}_total", description=family.documentation, sum=data)
    if family.type == "gauge":
        gauge = Gauge(data_points=_numbers(family.samples, since_ns, now_ns))
        return Metric(name=family.name, description=family.documentation, gauge=gauge)
    if family.type == "histogram":
        histogram = Histogram(
            data_points=_histograms(family.samples, since_ns, now_ns), aggregation_temporality=_CUMULATIVE
        )
        unit = "s" if family.name.endswith("_seconds") else ""
        return Metric(name=family.name, description=family.documentation, unit=unit, histogram=histogram)
    return None


def _numbers(samples: Iterable[Sample], since_ns: int, now_ns: int) -> list[NumberDataPoint]:
    return [
        NumberDataPoint(
            attributes=pairs(sample.labels.items()), start_time_unix_nano=since_ns, time_unix_nano=now_ns,
            as_double=sample.value,
        )
        for sample in samples
    ]


def _histograms(samples: Iterable[Sample], since_ns: int, now_ns: int) -> list[HistogramDataPoint]:
    """Prometheus counts what lies below each bound, OTLP what lies between two."""
    below: dict[_Labels, list[tuple[float, float]]] = {}
    sums: dict[_Labels, float] = {}
    for sample in samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if sample.name.endswith("_bucket"):
            below.setdefault(labels, []).append((float(sample.labels["le"]), float(sample.value)))
        elif sample.name.endswith("_sum"):
            sums[labels] = float(sample.value)
    points = []
    for labels, buckets in below.items():
        counts = [int(count) for _, count in buckets]
        between = [count - before for before, count in zip([0, *counts], counts, strict=False)]
        points.append(
            HistogramDataPoint(
                attributes=pairs(labels), start_time_unix_nano=since_ns, time_unix_nano=now_ns, count=counts[-1],
                sum=sums.get(labels, 0.0), bucket_counts=between, explicit_bounds=[bound for bound, _ in buckets[:-1]],
            )
        )
    return points
