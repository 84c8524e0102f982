"""One-time upload links: claimed when a transfer starts, spent when it succeeds, given back when it fails."""

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.shared.errors import Forbidden
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import Arg
from longshore.shared.redis.scripts import Script, Scripts

_CLAIM = Script("claim_grant")
_SPEND = Script("spend_grant")
_GIVE_BACK = Script("give_back_grant")
_HOLD = Script("hold_grant")
_USE_OF = Script("use_of_grant")
_REMEMBER_MS = 3_600_000     # a claim whose gateway died stays closed: its outcome is unknown
_MOST_OF_BATCH = 100


@dataclass(frozen=True, slots=True)
class LinkUse:
    """What became of a link so far."""

    scope: str = ""                  # "" while nobody has used it
    is_complete: bool = False        # it made files, and no transfer of its is under way
    file_ids: tuple[str, ...] = ()


class GrantStore:
    """The state of one-time links. A link that was never used has no key."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    async def claim(self, nonce: str, *, scope: str, server: str, ttl_ms: int, batch: bool = False) -> None:
        """Take the link for one transfer, or for one more of a batch. `ttl_ms` is what is left of its life.

        Raises Forbidden.
        """
        keys = [self._keys.grant(nonce), self._keys.session(scope)]
        args: list[Arg] = [server, ttl_ms + _REMEMBER_MS, scope, _MOST_OF_BATCH if batch else 0]
        (status,) = await self._scripts.run(_CLAIM, keys, args)
        if status > 1:
            _ = await self.link_use(nonce)      # an upload of its batch may have lapsed
            (status,) = await self._scripts.run(_CLAIM, keys, args)
        if status == 1:
            raise Forbidden("the session that this upload link was made for has ended; ask for a new link")
        if status == 2:
            raise Forbidden("this upload link is in use by another transfer; ask for a new link")
        if status == 3:
            raise Forbidden("this upload link was used before; ask for a new link")

    async def spend(self, nonce: str, file_ids: Sequence[str] = ()) -> None:
        """Note that the transfer made these files, and wake who waits for them. A link for one request is closed
        for good. Safe to repeat."""
        await self._scripts.run(_SPEND, [self._keys.grant(nonce)], [self._keys.wake_uploads(), nonce, *file_ids])

    async def release(self, nonce: str, *, capability: str = "") -> None:
        """Open the link again: the transfer failed and left nothing. Once for each transfer of a batch; with the
        `capability` of a resumable upload that was begun, safe to repeat."""
        args = [self._keys.wake_uploads(), nonce, capability]
        await self._scripts.run(_GIVE_BACK, [self._keys.grant(nonce)], args)

    async def keep_place(self, nonce: str, capability: str) -> None:
        """The file of a resumable upload is about to become visible: from now on only `give_back` opens its place in
        the batch again, however the upload ends."""
        await self._scripts.run(_HOLD, [self._keys.grant(nonce)], [capability])

    async def link_use(self, nonce: str) -> LinkUse:
        """What became of the link; remembered for an hour past its own end. Resumable uploads that lapsed are as if
        they had never begun."""
        state, scope, files, still_open = await self._scripts.run(
            _USE_OF, [self._keys.grant(nonce)], [self._keys.resumable("")]
        )
        if state is None:
            return LinkUse()
        ids = tuple(bytes(files).decode().split(",")) if files else ()
        is_complete = bool(ids) and (state == b"spent" or int(still_open or 0) <= 0)
        return LinkUse(bytes(scope).decode(), is_complete, ids)
