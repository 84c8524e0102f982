"""JSON Web Key Set of an issuer: cached, and fetched again at a limited rate when a key id is unknown."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import IssuerDown
from longshore.shared.tasks import Tasks

_MAX_AGE_S = 3600.0          # then the keys are fetched again; the old ones are used if that fails
_MIN_INTERVAL_S = 15.0       # between two fetches: tokens with made-up key ids must not cause more
_MIN_RSA_BITS = 2048         # RFC 7518 §3.3
_MAX_KEYS = 100

JwkSet = dict[str, msgspec.Raw]
FetchJwkSet = Callable[[], Awaitable[JwkSet]]


class KeySet:
    """An issuer's public keys by id. Built once at start-up; fetched at the first use."""

    def __init__(
        self, fetch: FetchJwkSet, tasks: Tasks, *, min_interval_s: float = _MIN_INTERVAL_S,
        max_age_s: float = _MAX_AGE_S,
    ) -> None:
        self._fetch = fetch
        self._tasks = tasks
        self._min_interval_s = min_interval_s
        self._max_age_s = max_age_s
        self._keys: dict[str, Key] = {}
        self._fetched_s: float | None = None     # the last success
        self._tried_s: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> Key | None:
        """Find a key by id; None when the issuer has none. Raises IssuerDown while no keys are known at all.

        Concurrent callers share one fetch, and fetches keep their minimum interval.
        """
        if key_id in self._keys and not self._is_stale():
            return self._keys[key_id]
        if self._fetching is None and self._may_fetch():
            self._tried_s = monotonic_s()
            self._fetching = self._tasks.start(self._refresh(), name="fetch_issuer_keys")
        if self._fetching is not None:  # a task of its own: it goes on when the caller is cancelled
            await asyncio.shield(self._fetching)
        if self._fetched_s is None:
            raise IssuerDown("the keys of the authorization server cannot be fetched; try again shortly")
        return self._keys.get(key_id)

    def _is_stale(self) -> bool:
        return self._fetched_s is None or monotonic_s() - self._fetched_s > self._max_age_s

    def _may_fetch(self) -> bool:
        return self._tried_s is None or monotonic_s() - self._tried_s >= self._min_interval_s

    async def _refresh(self) -> None:
        try:
            self._keys = usable_keys(await self._fetch())
            self._fetched_s = monotonic_s()
        except IssuerDown:
            return  # logged by `issuer_http`; the known keys stay in use
        finally:
            self._fetching = None


def usable_keys(document: JwkSet) -> dict[str, Key]:
    """Import the public signature keys of a JWK set (RFC 7517 §5), by id. All others are left out. Pure."""
    try:
        listed = msgspec.json.decode(document.get("keys", msgspec.Raw(b"[]")), type=list[dict[str, object]])
    except msgspec.DecodeError:
        return {}
    found: dict[str, Key] = {}
    for entry in listed[:_MAX_KEYS]:
        key_id = entry.get("kid")
        if not isinstance(key_id, str) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            key = JWKRegistry.import_key(entry)  # type: ignore[arg-type]
            if _is_strong(key):
                found.setdefault(key_id, key)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


def _is_strong(key: Key) -> bool:
    if isinstance(key, RSAKey):
        return bool(key.raw_value.key_size >= _MIN_RSA_BITS)
    return isinstance(key, ECKey | OKPKey)
