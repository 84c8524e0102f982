"""Prometheus registry as OTLP metrics, under the same names. Pure except for reading the registry."""

from collections.abc import Iterable

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

_SCOPE = InstrumentationScope("longshore")
_CUMULATIVE = AggregationTemporality.CUMULATIVE
_Labels = tuple[tuple[str, str], ...]


def read(registry: CollectorRegistry, resource: Resource, *, since_ns: int, now_ns: int) -> MetricsData:
    """Convert every metric family as of `now_ns`; counts began at `since_ns`."""
    found = [_metric(family, since_ns, now_ns) for family in registry.collect()]
    scope = ScopeMetrics(_SCOPE, [metric for metric in found if metric is not None], "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Family, since_ns: int, now_ns: int) -> Metric | None:
    if family.type == "counter":
        samples = [sample for sample in family.samples if sample.name.endswith("_total")]
        data = Sum(_numbers(samples, since_ns, now_ns), _CUMULATIVE, is_monotonic=True)
        return Metric(f"{family.name}_total", family.documentation, "", data)
    if family.type == "gauge":
        return Metric(family.name, family.documentation, "", Gauge(_numbers(family.samples, since_ns, now_ns)))
    if family.type == "histogram":
        points = _histograms(family.samples, since_ns, now_ns)
        unit = "s" if family.name.endswith("_seconds") else ""
        return Metric(family.name, family.documentation, unit, Histogram(points, _CUMULATIVE))
    return None


def _numbers(samples: Iterable[Sample], since_ns: int, now_ns: int) -> list[NumberDataPoint]:
    return [NumberDataPoint(dict(sample.labels), since_ns, now_ns, float(sample.value)) for sample in samples]


def _histograms(samples: Iterable[Sample], since_ns: int, now_ns: int) -> list[HistogramDataPoint]:
    """Convert histogram samples: Prometheus counts values below each bound, OTLP values between two bounds."""
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
                dict(labels), since_ns, now_ns, counts[-1], sums.get(labels, 0.0), between,
                [bound for bound, _ in buckets[:-1]], min=float("nan"), max=float("nan"),
            )
        )
    return points
