"""A load generator of our own, for machines without `wrk`: `python -m tests.bench.own_client SPEC.json`."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import cast

import httptools
import msgspec
import uvloop

from longshore.shared.clock import monotonic_s
from tests.bench.load import Load, Outcome
from tests.bench.report import middle
from tests.bench.wrk import SESSION


class Loader(asyncio.Protocol):
    """One connection that sends a request as soon as the answer to the last one is there."""

    def __init__(self, load: Load, first: int) -> None:
        self._load = load
        self._at = 0 if load.chained else first % len(load.requests)
        self._session = b""
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sent_s = 0.0
        self.took_s: list[float] = []
        self.failures = 0
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped:
            self.failures += 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"mcp-session-id" and self._at == 0:
            self._session = value

    def on_message_complete(self) -> None:
        self.took_s.append(monotonic_s() - self._sent_s)
        self.failures += self._parser.get_status_code() >= 300
        self._at = (self._at + 1) % len(self._load.requests)
        if not self.stopped:
            self._send()

    def _send(self) -> None:
        assert self._transport is not None
        request = self._load.requests[self._at]
        if self._load.chained:
            request = request.replace(SESSION, self._session)
        self._sent_s = monotonic_s()
        self._transport.write(request)

    def close(self) -> None:
        """End without counting the last request as failed."""
        self.stopped = True
        if self._transport is not None:
            self._transport.abort()


async def _run(load: Load) -> Outcome:
    loop = asyncio.get_running_loop()
    loaders: list[Loader] = []
    for n in range(load.connections):
        _, loader = await loop.create_connection(partial(Loader, load, n), "127.0.0.1", load.port)
        loaders.append(loader)
    started_s = monotonic_s()
    await asyncio.sleep(load.seconds)
    seconds = monotonic_s() - started_s
    for loader in loaders:
        loader.close()
    took_s = [took for loader in loaders for took in loader.took_s]
    return Outcome(
        requests=len(took_s), seconds=seconds, p50_ms=middle(took_s) * 1000 if took_s else 0.0,
        failures=sum(loader.failures for loader in loaders) + (not took_s),
    )


if __name__ == "__main__":
    spec = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Load)
    sys.stdout.write(msgspec.json.encode(uvloop.run(_run(spec))).decode())
