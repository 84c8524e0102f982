"""The era of each upstream, asked by one gateway for all, and not again and again where it does not say."""

import asyncio
import hashlib
from collections import OrderedDict, defaultdict

from aiohttp import web

from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.era_probe import Era, NotTold, era_of
from longshore.gateway.upstream.health_probe import Monitor
from longshore.gateway.upstream.rpc import WantsCredentials
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import UpstreamDown
from longshore.shared.state.eras import UNKNOWN, EraStore

_KEPT_S = 60.0               # without looking whether another gateway has found out otherwise
_DOUBT_EVERY_S = 10.0        # what speaks against an era may be a client's own fault
_BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_MOST_REFUSED = 1_000
_ERAS: dict[str, Era] = {"modern": "modern", "legacy": "legacy"}


class EraCache:
    """What this gateway knows of its upstreams' eras. Built once at start-up."""

    def __init__(self, store: EraStore) -> None:
        self._store = store
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._failures: defaultdict[str, int] = defaultdict(int)     # in a row, by server
        self._refused: OrderedDict[tuple[str, str], float] = OrderedDict()   # callers' headers, and until when

    def known(self, monitor: Monitor) -> Era | None:
        """The era of the upstream where it was found out lately and nothing speaks against it."""
        return _known(monitor)

    async def of(self, monitor: Monitor, client: UpstreamClient, headers: dict[str, str]) -> Era:
        """The era of the upstream. `headers` are a caller's that may travel. Raises UpstreamDown, UpstreamTimeout."""
        if (era := _known(monitor)) is not None:
            return era
        async with self._asking[monitor.server.id]:
            if (era := _known(monitor)) is not None:
                return era
            upstream = _digest(monitor.server.upstream.url)
            found = "" if monitor.era_doubted else await self._store.find(upstream)
            if found == UNKNOWN:
                raise UpstreamDown("the upstream server does not say which revisions it speaks; try again later")
            if (told := _ERAS.get(found)) is not None:
                return _learn(monitor, told, is_hearsay=True)
            return await self._ask(monitor, client, headers, upstream)

    async def _ask(self, monitor: Monitor, client: UpstreamClient, headers: dict[str, str], upstream: str) -> Era:
        server, caller = monitor.server.id, _digest(repr(sorted(headers.items())))
        if self._refused.get((server, caller), 0.0) > monotonic_s():
            raise UpstreamDown("the upstream server refused this caller's credentials; try again later")
        try:
            era = await era_of(client, headers)
        except WantsCredentials:             # which another caller may have
            self._refused[server, caller] = monotonic_s() + self._pause_s(server)
            while len(self._refused) > _MOST_REFUSED:
                self._refused.popitem(last=False)
            raise
        except NotTold:
            self._store.keep(upstream, UNKNOWN, for_ms=int(self._pause_s(server) * 1000))
            raise
        self._failures.pop(server, None)
        self._store.keep(upstream, era)
        return _learn(monitor, era, is_hearsay=False)

    def _pause_s(self, server: str) -> float:
        self._failures[server] += 1
        return _BACKOFF_S[min(self._failures[server], len(_BACKOFF_S)) - 1]

    async def contradicted(self, monitor: Monitor, client: UpstreamClient, headers: dict[str, str]) -> bool:
        """Whether the era turns out to be another one, after something that speaks against it. Raises as `of`."""
        before, is_fresh = monitor.era, monotonic_s() - monitor.era_found_s < _DOUBT_EVERY_S
        if before is None or (is_fresh and not monitor.era_is_hearsay):
            return False
        monitor.era_doubted = True
        return await self.of(monitor, client, headers) != before


def _known(monitor: Monitor) -> Era | None:
    if monitor.era_doubted or monotonic_s() - monitor.era_found_s > _KEPT_S:
        return None
    return monitor.era


def _learn(monitor: Monitor, era: Era, *, is_hearsay: bool) -> Era:
    monitor.era, monitor.era_found_s = era, monotonic_s()
    monitor.era_is_hearsay, monitor.era_doubted = is_hearsay, False
    return era


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


ERA_CACHE = web.AppKey("eras", EraCache)
