"""Exports on their way to a collector: over TLS, again where that may help, and whatever the clock is set to."""

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.clock import monotonic_s
from shared.config import Telemetry
from shared.errors import Refused
from shared.otlp.sending import Sender, Unreachable, sender
from tests.fixtures.certificates import self_signed
from tests.fixtures.collector import Collector, over_grpc, over_http

BODY: bytes = ExportTraceServiceRequest().SerializeToString()


class Failing:
    """A way on which nothing ever arrives; `meanwhile` happens at each try."""

    def __init__(self, meanwhile: Callable[[], object] = bool) -> None:
        self.tries = 0
        self.allowed_s: list[float] = []
        self._meanwhile = meanwhile

    def send(self, body: bytes, *, within_s: float) -> bool:
        self.tries += 1
        self.allowed_s.append(within_s)
        self._meanwhile()
        raise Unreachable

    def close(self) -> None:
        """Nothing is open."""


def to_http(collector: Collector) -> closing[Sender]:
    """What sends traces there."""
    return closing(sender(Telemetry(transport="http", endpoint=collector.url), "traces"))


@pytest.mark.parametrize("status", [429, 503])
def test_what_a_collector_cannot_take_now_is_sent_again(status: int) -> None:
    with over_http(at_first=[status]) as collector, to_http(collector) as to:
        assert to.send(BODY)

    assert len(collector.requests["traces"]) == 1


def test_what_a_collector_refuses_is_not_sent_again() -> None:
    with over_http(at_first=[400]) as collector, to_http(collector) as to:
        assert not to.send(BODY)

    assert collector.requests["traces"] == []


def test_a_collector_that_came_back_gets_what_comes_then() -> None:
    with over_http() as collector, to_http(collector) as to:
        assert to.send(BODY)
        collector.hang_up()
        assert to.send(BODY)

    assert len(collector.requests["traces"]) == 2


def test_at_the_end_of_a_process_one_try_is_all() -> None:
    way = Failing()
    to = Sender(way, within_s=60)
    to.end()

    assert not to.send(BODY)
    assert way.tries == 1


def test_the_end_of_a_process_cuts_a_pause_short() -> None:
    tried = threading.Event()
    way = Failing(tried.set)
    to = Sender(way, within_s=3600)
    sending = threading.Thread(target=to.send, args=(BODY,))
    sending.start()
    assert tried.wait(20)

    to.end()
    sending.join(20)

    assert not sending.is_alive()


@pytest.mark.parametrize("step_s", [-86_400, 86_400])
def test_a_clock_that_is_set_changes_nothing_of_the_time_allowed(
    monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    way = Failing(lambda: monkeypatch.setattr("time.time", lambda: monotonic_s() + step_s))
    began_s = monotonic_s()

    assert not Sender(way, within_s=2.5).send(BODY)

    assert way.tries == 2
    assert 0 < way.allowed_s[1] < way.allowed_s[0] <= 2.5
    assert monotonic_s() - began_s < 30


def test_a_private_authority_may_vouch_for_a_collector_over_http(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with over_http(tls=certificate.server()) as collector:
        config = Telemetry(transport="http", endpoint=collector.url, ca_file=str(certificate.file))
        with closing(sender(config, "traces")) as to:
            assert to.send(BODY)

    assert len(collector.requests["traces"]) == 1


def test_a_private_authority_may_vouch_for_a_collector_over_grpc(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with over_grpc(certificate=certificate.file) as collector:
        config = Telemetry(transport="grpc", endpoint=collector.url, ca_file=str(certificate.file))
        with closing(sender(config, "traces")) as to:
            assert to.send(BODY)

    assert len(collector.requests["traces"]) == 1


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_collector_that_nobody_vouches_for_gets_nothing(tmp_path: Path, transport: str) -> None:
    certificate = self_signed(tmp_path)
    with over_http(tls=certificate.server()) if transport == "http" else over_grpc(
        certificate=certificate.file
    ) as collector:
        config = Telemetry(transport=transport, endpoint=collector.url, export_timeout_seconds=1)    # type: ignore[arg-type]
        with closing(sender(config, "traces")) as to:
            assert not to.send(BODY)

    assert collector.requests["traces"] == []


@pytest.mark.parametrize("transport", ["http", "grpc"])
@pytest.mark.parametrize("text", [None, "no certificate"])
def test_an_authority_that_is_none_is_said_at_the_start(tmp_path: Path, transport: str, text: str | None) -> None:
    file = tmp_path / "authority.pem"
    if text is not None:
        file.write_text(text)
    config = Telemetry(transport=transport, endpoint="https://localhost:1", ca_file=str(file))    # type: ignore[arg-type]

    with pytest.raises(Refused, match=r"telemetry\.ca_file .* cannot be used"):
        sender(config, "traces")
