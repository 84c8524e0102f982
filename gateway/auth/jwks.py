"""The keys that an issuer signs with: kept, fetched again when one is unknown, and not as often as anybody likes."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key, OKPKey, RSAKey

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import IssuerDown
from longshore.shared.tasks import Tasks

_FRESH_S = 3600.0            # after that the keys are fetched again, and the old ones serve if that fails
_APART_S = 15.0              # between two fetches for unknown keys: what any caller can ask of the issuer
_LEAST_RSA_BITS = 2048       # RFC 7518 §3.3
_MOST_KEYS = 100

Document = dict[str, msgspec.Raw]
Fetch = Callable[[], Awaitable[Document]]


class KeySet:
    """An issuer's public keys by id. Built once at start-up; fetches when first asked."""

    def __init__(self, fetch: Fetch, tasks: Tasks, *, apart_s: float = _APART_S, fresh_s: float = _FRESH_S) -> None:
        self._fetch = fetch
        self._tasks = tasks
        self._apart_s = apart_s
        self._fresh_s = fresh_s
        self._keys: dict[str, Key] = {}
        self._fetched_s: float | None = None     # the last time that it worked
        self._tried_s: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> Key | None:
        """The key of that id; None when the issuer has none. Raises IssuerDown while no keys are known at all.

        However many ask at once, one fetch is under way, and none begins soon after another.
        """
        if key_id in self._keys and not self._is_old():
            return self._keys[key_id]
        if self._fetching is None and self._may_fetch():
            self._tried_s = monotonic_s()
            self._fetching = self._tasks.start(self._refresh(), name="fetch_issuer_keys")
        if self._fetching is not None:  # of no caller's own, so that none takes it along when it leaves
            await asyncio.shield(self._fetching)
        if self._fetched_s is None:
            raise IssuerDown("the keys of the authorization server are not to be had now; try again shortly")
        return self._keys.get(key_id)

    def _is_old(self) -> bool:
        return self._fetched_s is None or monotonic_s() - self._fetched_s > self._fresh_s

    def _may_fetch(self) -> bool:
        return self._tried_s is None or monotonic_s() - self._tried_s >= self._apart_s

    async def _refresh(self) -> None:
        try:
            self._keys = usable_keys(await self._fetch())
            self._fetched_s = monotonic_s()
        except IssuerDown:
            return  # said by whoever asked; the keys that are known serve
        finally:
            self._fetching = None


def usable_keys(document: Document) -> dict[str, Key]:
    """The public keys for signatures in a JWK set (RFC 7517 §5), by id. Others are left out, secret ones too. Pure."""
    try:
        listed = msgspec.json.decode(document.get("keys", msgspec.Raw(b"[]")), type=list[dict[str, object]])
    except msgspec.DecodeError:
        return {}
    found: dict[str, Key] = {}
    for entry in listed[:_MOST_KEYS]:
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
        return bool(key.raw_value.key_size >= _LEAST_RSA_BITS)
    return isinstance(key, ECKey | OKPKey)
