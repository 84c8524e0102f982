"""Ways to a collector, over http and grpc: encoded exports go out, repeated while that may help.

The SDK's exporters measure by the wall clock, which may be set while they wait, and take only the SDK's own objects,
whose encoding costs several times what it costs here. They read no message of the answer either.
"""

import http.client
import random
import ssl
import threading
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import grpc  # type: ignore[import-untyped]

from shared.clock import monotonic_s
from shared.config import Telemetry
from shared.errors import Refused

SIGNALS = {
    "traces": "opentelemetry.proto.collector.trace.v1.TraceService",
    "metrics": "opentelemetry.proto.collector.metrics.v1.MetricsService",
    "logs": "opentelemetry.proto.collector.logs.v1.LogsService",
}
_MAX_ANSWER_BYTES = 65536
_AGAIN_STATUS = frozenset({429, 502, 503, 504})
_AGAIN_CODE = frozenset({
    grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS,
})


class Unreachable(Exception):
    """The collector did not take it, and may take it later (OTLP §Failures)."""


class Way(Protocol):
    """One collector's place for one signal."""

    def send(self, body: bytes, *, within_s: float) -> bool:
        """Whether the collector took it. Raises Unreachable."""

    def close(self) -> None:
        """Give the connection up."""


class Sender:
    """Sends the exports of one signal. Used by one thread."""

    def __init__(self, way: Way, *, within_s: float) -> None:
        self._way = way
        self._within_s = within_s
        self._ending = threading.Event()

    def send(self, body: bytes) -> bool:
        """Whether it arrived within `telemetry.export_timeout_seconds`, tried again with growing pauses."""
        until_s = monotonic_s() + self._within_s
        pause_s = 1.0
        while (left_s := until_s - monotonic_s()) > 0:
            try:
                return self._way.send(body, within_s=left_s)
            except Unreachable:
                wait_s = pause_s * random.uniform(0.8, 1.2)  # noqa: S311  (many processes must not come back at once)
                if self._ending.is_set() or wait_s > until_s - monotonic_s():
                    return False
                self._ending.wait(wait_s)
                pause_s *= 2
        return False

    def end(self) -> None:
        """The process ends: try what is to be sent once, and no longer wait for a better moment."""
        self._ending.set()

    def close(self) -> None:
        """Give the connection up, even under a sending that nobody waits for any more."""
        self._way.close()


class OverHttp:
    """One connection that is kept; no proxy, no redirect."""

    def __init__(self, url: str, headers: dict[str, str], tls: ssl.SSLContext) -> None:
        at = urlsplit(url)
        self._path = urlunsplit(("", "", at.path or "/", at.query, ""))
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        host = at.hostname or "localhost"
        self._connection = (
            http.client.HTTPSConnection(host, at.port, context=tls) if at.scheme == "https"
            else http.client.HTTPConnection(host, at.port)
        )

    def send(self, body: bytes, *, within_s: float) -> bool:
        was_kept = self._connection.sock is not None
        try:
            status = self._status_of(body, within_s)
        except (OSError, http.client.HTTPException) as err:
            self.close()
            if was_kept and isinstance(err, ConnectionError):   # the collector ended it while nothing was sent
                return self.send(body, within_s=within_s)
            raise Unreachable from err
        if status in _AGAIN_STATUS:
            raise Unreachable
        return 200 <= status < 300

    def _status_of(self, body: bytes, within_s: float) -> int:
        connection = self._connection
        connection.timeout = within_s
        if connection.sock is not None:
            connection.sock.settimeout(within_s)
        connection.request("POST", self._path, body, self._headers)
        answer = connection.getresponse()
        answer.read(_MAX_ANSWER_BYTES)
        if not answer.isclosed():
            self.close()    # more than we care to read
        return answer.status

    def close(self) -> None:
        self._connection.close()


class OverGrpc:
    """One channel, which connects by itself whenever there is something to send."""

    def __init__(
        self, address: str, headers: dict[str, str], *, service: str, credentials: grpc.ChannelCredentials | None
    ) -> None:
        options = [("grpc.enable_retries", 0)]     # `Sender` repeats
        self._channel: Any = (
            grpc.insecure_channel(address, options) if credentials is None
            else grpc.secure_channel(address, credentials, options)
        )
        self._export = self._channel.unary_unary(f"/{service}/Export")
        self._headers = tuple((name.lower(), value) for name, value in headers.items())     # gRPC takes no capitals

    def send(self, body: bytes, *, within_s: float) -> bool:
        try:
            self._export(body, timeout=within_s, metadata=self._headers)
        except grpc.RpcError as err:
            if err.code() in _AGAIN_CODE:
                raise Unreachable from err
            return False
        return True

    def close(self) -> None:
        self._channel.close()


def sender(config: Telemetry, signal: str) -> Sender:
    """The sender of one signal, as the configuration has it. Raises Refused for certificates that are none."""
    within_s: float = config.export_timeout_seconds
    if signal == "logs" and config.log_batch_export_timeout_millis is not None:
        within_s = config.log_batch_export_timeout_millis / 1000
    url = endpoint(config, signal)
    if config.transport == "http":
        return Sender(OverHttp(url, config.headers, _trusted(config)), within_s=within_s)
    # An address without a scheme leaves it to the key; gRPC itself knows only addresses.
    secure = url.startswith("https://") or not config.insecure
    credentials = grpc.ssl_channel_credentials(_authorities(config)) if secure else None
    way = OverGrpc(url.partition("://")[2], config.headers, service=SIGNALS[signal], credentials=credentials)
    return Sender(way, within_s=within_s)


def endpoint(config: Telemetry, signal: str) -> str:
    """Where a signal goes. Over http, an endpoint that ends in `/v1/<signal>` stands for its siblings too,
    any other is what `/v1/<signal>` is appended to; `logs_endpoint` is taken as it is."""
    if signal == "logs" and config.logs_endpoint is not None:
        return config.logs_endpoint
    if config.transport == "grpc":
        return config.endpoint or "http://localhost:4317"
    url = urlsplit(config.endpoint or "http://localhost:4318")
    path = url.path.rstrip("/")
    for known in SIGNALS:
        path = path.removesuffix(f"/v1/{known}")
    return urlunsplit(url._replace(path=f"{path}/v1/{signal}"))


def _trusted(config: Telemetry) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=config.ca_file or None)
    except OSError as err:
        raise _unusable(config, err) from err


def _authorities(config: Telemetry) -> bytes | None:
    """None for those that gRPC brings along."""
    if not config.ca_file:
        return None
    _trusted(config)    # gRPC would accept any text and trust nobody
    try:
        return Path(config.ca_file).read_bytes()
    except OSError as err:
        raise _unusable(config, err) from err


def _unusable(config: Telemetry, err: OSError) -> Refused:
    why = err.strerror or "it holds no certificate in PEM"
    return Refused(f"telemetry.ca_file {config.ca_file} cannot be used: {why}")
