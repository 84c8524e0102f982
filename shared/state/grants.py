"""One-time upload links: claimed when a transfer starts, spent when it succeeds, released when it fails."""

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.shared.errors import Forbidden
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import Arg, RedisLink
from longshore.shared.redis.scripts import Script

_CLAIM = Script("claim_grant")
_SPEND = Script("spend_grant")
_RELEASE = Script("release_grant")
_KEEP_PLACE = Script("keep_grant_place")
_LINK_USE = Script("grant_use")
_REMEMBER_MS = 3_600_000     # a claim whose gateway died keeps the link closed: its outcome is unknown
_MAX_BATCH = 100


@dataclass(frozen=True, slots=True)
class LinkUse:
    """State of an upload link."""

    scope: str = ""                  # "" while the link is unused
    is_complete: bool = False        # it has files, and no transfer is in progress
    file_ids: tuple[str, ...] = ()


class GrantStore:
    """Typed access to the state of one-time upload links. An unused link has no key."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def claim(self, nonce: str, *, scope: str, server: str, ttl_ms: int, batch: bool = False) -> None:
        """Claim the link for one transfer, or for one more of a batch. Raises Forbidden.

        `ttl_ms` is the rest of the link's own life.
        """
        keys = [self._keys.grant(nonce), self._keys.session(scope)]
        args: list[Arg] = [server, ttl_ms + _REMEMBER_MS, scope, _MAX_BATCH if batch else 0]
        (status,) = await self._link.run(_CLAIM, keys, args)
        if status > 1:
            _ = await self.link_use(nonce)      # releases uploads of the batch that have lapsed
            (status,) = await self._link.run(_CLAIM, keys, args)
        if status == 1:
            raise Forbidden("the session that this upload link was made for has ended; ask for a new link")
        if status == 2:
            raise Forbidden("this upload link is in use by another transfer; ask for a new link")
        if status == 3:
            raise Forbidden("this upload link was used before; ask for a new link")

    async def spend(self, nonce: str, file_ids: Sequence[str] = ()) -> None:
        """Save the files of a transfer and wake their waiters. Closes a link for one request. Safe to repeat."""
        await self._link.run(_SPEND, [self._keys.grant(nonce)], [self._keys.upload_link_channel(), nonce, *file_ids])

    async def release(self, nonce: str, *, capability: str = "") -> None:
        """Reopen the link after a transfer that failed and left nothing, once for each transfer of a batch.

        Safe to repeat with the `capability` of a resumable upload.
        """
        args = [self._keys.upload_link_channel(), nonce, capability]
        await self._link.run(_RELEASE, [self._keys.grant(nonce)], args)

    async def keep_place(self, nonce: str, capability: str) -> None:
        """Keep the place of a resumable upload in its batch until `release`, even if the upload lapses.

        Called when its file is about to become visible.
        """
        await self._link.run(_KEEP_PLACE, [self._keys.grant(nonce)], [capability])

    async def link_use(self, nonce: str) -> LinkUse:
        """Return the state of the link, kept for an hour past its end. Lapsed resumable uploads do not count."""
        state, scope, files, still_open = await self._link.run(
            _LINK_USE, [self._keys.grant(nonce)], [self._keys.resumable("")]
        )
        if state is None:
            return LinkUse()
        ids = tuple(bytes(files).decode().split(",")) if files else ()
        is_complete = bool(ids) and (state == b"spent" or int(still_open or 0) <= 0)
        return LinkUse(bytes(scope).decode(), is_complete, ids)
