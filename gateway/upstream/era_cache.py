"""Cache of each upstream's era, shared by all gateways in Redis, with backoff while probes fail."""

import asyncio
import hashlib
from collections import OrderedDict, defaultdict

from aiohttp import web

from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.era_probe import Era, EraUnknown, probe_era
from longshore.gateway.upstream.health_probe import Monitor
from longshore.gateway.upstream.rpc import CredentialsRequired
from longshore.shared.backoff import Backoff
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import UpstreamDown
from longshore.shared.state.eras import UNKNOWN, EraStore

_MAX_AGE_S = 60.0            # then Redis is read again: another gateway may have found another era
_MIN_RECHECK_S = 10.0        # a response that contradicts the era may be caused by the client's request
_BACKOFF = Backoff(0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_MAX_REFUSED = 1_000
_ERAS: dict[str, Era] = {"modern": "modern", "legacy": "legacy"}


class EraCache:
    """Eras of the upstreams as this gateway knows them, kept in each `Monitor`. Built once at start-up."""

    def __init__(self, store: EraStore) -> None:
        self._store = store
        self._probing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)    # by server
        self._failures: defaultdict[str, int] = defaultdict(int)     # in a row, by server
        self._refused: OrderedDict[tuple[str, str], float] = OrderedDict()   # server and caller's headers, until when

    def known(self, monitor: Monitor) -> Era | None:
        """Era from memory; None if it is too old or must be checked again."""
        return _known(monitor)

    async def get(self, monitor: Monitor, client: UpstreamClient, headers: dict[str, str]) -> Era:
        """Era from memory, from Redis, or from a probe with the caller's `headers`. Raises UpstreamDown,
        UpstreamTimeout."""
        if (era := _known(monitor)) is not None:
            return era
        async with self._probing[monitor.server.id]:
            if (era := _known(monitor)) is not None:
                return era
            upstream = _digest(monitor.server.upstream.url)
            found = "" if monitor.era_needs_recheck else await self._store.find(upstream)
            if found == UNKNOWN:
                raise UpstreamDown("the upstream server does not say which revisions it speaks; try again later")
            if (stored := _ERAS.get(found)) is not None:
                return _learn(monitor, stored, from_other_gateway=True)
            return await self._probe(monitor, client, headers, upstream)

    async def _probe(self, monitor: Monitor, client: UpstreamClient, headers: dict[str, str], upstream: str) -> Era:
        server, caller = monitor.server.id, _digest(repr(sorted(headers.items())))
        if self._refused.get((server, caller), 0.0) > monotonic_s():
            raise UpstreamDown("the upstream server refused this caller's credentials; try again later")
        try:
            era = await probe_era(client, headers)
        except CredentialsRequired:          # another caller may have them
            self._refused[server, caller] = monotonic_s() + self._pause_s(server)
            while len(self._refused) > _MAX_REFUSED:
                self._refused.popitem(last=False)
            raise
        except EraUnknown:
            self._store.save(upstream, UNKNOWN, ttl_ms=int(self._pause_s(server) * 1000))
            raise
        self._failures.pop(server, None)
        self._store.save(upstream, era)
        return _learn(monitor, era, from_other_gateway=False)

    def _pause_s(self, server: str) -> float:
        self._failures[server] += 1
        return _BACKOFF.delay_s(self._failures[server])

    async def has_changed(self, monitor: Monitor, client: UpstreamClient, headers: dict[str, str]) -> bool:
        """Probe again after a response that contradicts the era. True if the era has changed. Raises as `get`."""
        before, is_fresh = monitor.era, monotonic_s() - monitor.era_found_s < _MIN_RECHECK_S
        if before is None or (is_fresh and not monitor.era_from_other_gateway):
            return False
        monitor.era_needs_recheck = True
        return await self.get(monitor, client, headers) != before


def _known(monitor: Monitor) -> Era | None:
    if monitor.era_needs_recheck or monotonic_s() - monitor.era_found_s > _MAX_AGE_S:
        return None
    return monitor.era


def _learn(monitor: Monitor, era: Era, *, from_other_gateway: bool) -> Era:
    monitor.era, monitor.era_found_s = era, monotonic_s()
    monitor.era_from_other_gateway, monitor.era_needs_recheck = from_other_gateway, False
    return era


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


ERA_CACHE = web.AppKey("eras", EraCache)
