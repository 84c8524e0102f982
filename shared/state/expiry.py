"""Expiry of idle sessions, removal of their tombstones, and the queue of upstream sessions to end."""

from dataclasses import dataclass
from enum import Enum

import msgspec

from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import ENDED, Event, Publisher
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.state.sessions import SessionLimits

_EXPIRE = Script("expire_session")
_REMOVE_TOMBSTONE = Script("remove_tombstone")

_end_decoder = msgspec.msgpack.Decoder(tuple[str, str, str])


class Expiry(Enum):
    """Outcome of the expiry of a due session."""

    KEPT = 0                 # used again, held by a call or a stream, or not live
    EXPIRED = 1              # may be revived until its tombstone falls due
    ENDED = 2                # for good; its files are to be unlinked


@dataclass(frozen=True, slots=True)
class ExpiryResult:
    """Outcome, and the id of the session's server, "" if it was kept."""

    outcome: Expiry
    server: str


@dataclass(frozen=True, slots=True)
class UpstreamSession:
    """Upstream session that is no longer needed."""

    server: str
    upstream_id: str
    protocol: str


class ExpiryStore:
    """Typed access to the expiry scripts. One round trip per method; every one may raise StoreDown."""

    def __init__(self, link: RedisLink, keys: Keys, limits: SessionLimits) -> None:
        self._link = link
        self._keys = keys
        self._limits = limits
        self._events = Publisher(link, keys)

    async def expire(self, session_id: str) -> ExpiryResult:
        """Expire the session if it is due by Redis' clock and nothing holds it. Safe to repeat.

        An event ends streams and calls at gateways that could not renew their leases.
        """
        keys, limits = self._keys, self._limits
        done, server = await self._link.run(
            _EXPIRE,
            [
                keys.session(session_id), keys.leases(session_id), keys.streams(session_id), keys.files(session_id),
                keys.used_bytes(session_id), keys.used_total(), keys.sessions(), keys.due(),
                keys.upstream_sessions_to_end(), keys.upload_ends(), keys.artifact_ends(),
            ],
            [session_id, limits.idle_ttl_ms, int(limits.allow_revival), limits.tombstone_ttl_ms],
        )
        expired = ExpiryResult(Expiry(done), server.decode())
        if expired.outcome is not Expiry.KEPT:
            self._events.publish_nowait(Event(ENDED, session_id))
        return expired

    async def remove_tombstone(self, session_id: str) -> bool:
        """Remove an expired session that is due; its files are then to be unlinked. Safe to repeat."""
        keys = self._keys
        removed = await self._link.run(
            _REMOVE_TOMBSTONE,
            [
                keys.session(session_id), keys.files(session_id), keys.used_bytes(session_id), keys.used_total(),
                keys.due(), keys.upload_ends(), keys.artifact_ends(),
            ],
            [session_id],
        )
        return bool(removed)

    async def take_upstream_ends(self, limit: int) -> list[UpstreamSession]:
        """Take at most `limit` upstream sessions to end. Best effort: what the taker does not end stays."""
        taken = await self._link.call("LPOP", self._keys.upstream_sessions_to_end(), limit)
        return [UpstreamSession(*_end_decoder.decode(entry)) for entry in taken or ()]
