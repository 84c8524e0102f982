"""Rate limit of failed authentication attempts, by client address."""

import contextlib
import hashlib
import math
from collections import OrderedDict

from aiohttp import web

from longshore.gateway.auth.client_address import network_of
from longshore.shared.clock import monotonic_s
from longshore.shared.config import Limit
from longshore.shared.errors import RateLimited, StoreDown
from longshore.shared.state.limits import LimitStore, Subject

_MAX_ADDRESSES = 20_000


class FailedAttemptLimiter:
    """Token buckets of the addresses that sent wrong credentials lately. Built once at start-up.

    The buckets of this process decide first, so that a flood costs one look into a dictionary; only the attempts
    that they admit are counted in Redis, for all gateways together.
    """

    def __init__(self, per_minute: int | None, store: LimitStore) -> None:
        self._per_minute = per_minute or 0
        self._store = store
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level and when it was so
        self._blocked_until_s: OrderedDict[str, float] = OrderedDict()

    def check(self, address: str) -> None:
        """Raise RateLimited while the address is blocked."""
        if not self._blocked_until_s:
            return
        name = network_of(address)
        wait_s = self._blocked_until_s.get(name, 0.0) - monotonic_s()
        if wait_s > 0:
            raise RateLimited(
                "too many wrong credentials came from this address; wait before you try again",
                retry_after_s=math.ceil(wait_s),
            )
        self._blocked_until_s.pop(name, None)

    async def record_failure(self, address: str) -> None:
        """Count one more wrong credential from the address, and block it when they are too many."""
        if not self._per_minute:
            return
        name, now_s, rate = network_of(address), monotonic_s(), self._per_minute / 60
        level, at_s = self._buckets.pop(name, (0.0, now_s))
        level = max(0.0, level - (now_s - at_s) * rate) + 1
        self._buckets[name] = (level, now_s)
        if level >= self._per_minute:
            self._block(name, (level - self._per_minute + 1) / rate)
            return
        if len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        try:
            with contextlib.suppress(StoreDown):
                await self._store.admit([self._subject(name)], kind="other", slot="")
        except RateLimited as err:
            self._block(name, float(err.retry_after_s))

    def _block(self, name: str, wait_s: float) -> None:
        self._blocked_until_s[name] = monotonic_s() + wait_s
        while len(self._blocked_until_s) > _MAX_ADDRESSES:
            self._blocked_until_s.popitem(last=False)

    def _subject(self, name: str) -> Subject:
        digest = hashlib.sha256(f"failures:{name}".encode()).hexdigest()[:32]
        limit = Limit(requests_per_second=max(1, round(self._per_minute / 60)), burst=self._per_minute)
        return Subject(digest, "this address", limit)


FAILED_ATTEMPTS = web.AppKey("failed_attempts", FailedAttemptLimiter)
