"""Feeds: one gateway at a time holds the upstream's change stream of a scope for the subscribers at all gateways."""

from dataclasses import dataclass
from itertools import count

import msgspec

from longshore.shared.errors import SessionGone, TooMany
from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import Event, encode_event
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script

SUBSCRIPTIONS_CHANGED = "wanted"            # the subscriptions of some gateway or of the session
VACANT = "vacant"            # no gateway holds the upstream's stream
APPLIED = "applied"          # subscriptions are in effect upstream; data: `Applied`
CHANGE = "change"            # a notification of the upstream; data: the message

_CLAIM = Script("claim_feed")
_RELEASE = Script("release_feed")
_SAVE_UPSTREAM = Script("save_upstream_subscriptions")
_SET = Script("set_feed_subscriptions")
_READ = Script("read_feed_subscriptions")
_WATCH = Script("watch_resource")
_FEED_TTL_MS = 60_000
_HEARTBEAT_TTL_MS = 5_000
_MAX_WATCHED = 1_000        # resources of one session


class Applied(msgspec.Struct, frozen=True):
    """Subscriptions that the owner of the stream has put into effect upstream."""

    gateways: dict[str, int]     # revision of each gateway's subscriptions
    session: int                 # number of changes of the session's own subscriptions


class _GatewaySubscriptions(msgspec.Struct, frozen=True, array_like=True):
    revision: int
    uris: list[str]


@dataclass(frozen=True, slots=True)
class FeedClaim:
    """Result of claiming a feed."""

    is_held: bool
    owner: str               # current or previous owner; "-" for one that has released it, "" for none
    upstream_subscriptions: bytes    # as the previous owner has saved them, b"" for none


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Union of the subscriptions at all gateways and of the session."""

    uris: frozenset[str]
    watched: frozenset[str]  # by the session itself (`resources/subscribe`)
    applied: Applied         # to publish once they are in effect

    def is_only_of(self, gateway: str) -> bool:
        """Return True if no other gateway has subscriptions."""
        return self.applied.gateways.keys() <= {gateway}


_encode = msgspec.msgpack.Encoder().encode
_decode_gateway = msgspec.msgpack.Decoder(_GatewaySubscriptions).decode
_decode_uris = msgspec.msgpack.Decoder(list[str]).decode


class FeedStore:
    """Typed access to the scripts of feeds, for one gateway. One round trip per method. All raise StoreDown."""

    def __init__(self, link: RedisLink, keys: Keys, gateway: str) -> None:
        self._link = link
        self._keys = keys
        self.gateway = gateway
        self._revisions = count(1)

    def next_revision(self) -> int:
        """Return a number for the current subscriptions, above all before it."""
        return next(self._revisions)

    async def heartbeat(self, owners: list[str]) -> list[str]:
        """Renew this gateway's heartbeat for five seconds; return those of `owners` whose heartbeat has lapsed."""
        await self._link.call("SET", self._keys.gateway_alive(self.gateway), "1", "PX", _HEARTBEAT_TTL_MS)
        if not owners:
            return []
        found = await self._link.call("MGET", *(self._keys.gateway_alive(owner) for owner in owners))
        return [owner for owner, alive in zip(owners, found, strict=True) if alive is None]

    async def claim(self, scope: str) -> FeedClaim:
        """Claim the feed of `scope`, or keep it for another minute, with its subscriptions."""
        taken, owner, subscribed = await self._link.run(
            _CLAIM, [self._keys.feed(scope), self._keys.feed_subscriptions(scope)],
            [self.gateway, self._keys.gateway_alive(""), _FEED_TTL_MS],
        )
        return FeedClaim(taken == 1, owner.decode(), subscribed)

    async def release(self, scope: str) -> None:
        """Release the feed and remove this gateway's subscriptions. A gateway with subscriptions claims it at once."""
        await self._link.run(
            _RELEASE, [self._keys.feed(scope), self._keys.feed_subscriptions(scope)],
            [self.gateway, self._keys.events_channel(scope), encode_event(Event(VACANT, scope))],
        )

    async def save_upstream_subscriptions(self, scope: str, subscribed: bytes) -> None:
        """Save what is subscribed to upstream, for the next owner."""
        await self._link.run(_SAVE_UPSTREAM, [self._keys.feed(scope)], [self.gateway, subscribed])

    async def set_subscriptions(self, scope: str, revision: int, uris: list[str]) -> None:
        """Set the subscriptions of the clients at this gateway."""
        await self._link.run(
            _SET, [self._keys.feed_subscriptions(scope)],
            [
                self.gateway, _encode(_GatewaySubscriptions(revision, uris)), self._keys.events_channel(scope),
                encode_event(Event(SUBSCRIPTIONS_CHANGED, scope)), _FEED_TTL_MS,
            ],
        )

    async def subscriptions(self, scope: str) -> Subscriptions:
        """Return the union of all subscriptions in `scope`."""
        watched, changes, *rest = await self._link.run(
            _READ, [self._keys.feed_subscriptions(scope), self._keys.session(scope)],
            [self._keys.gateway_alive(""), self.gateway, _FEED_TTL_MS],
        )
        own = frozenset(_decode_uris(watched) if watched else ())
        uris, revisions = set(own), {}
        for gateway, data in zip(rest[::2], rest[1::2], strict=True):
            found = _decode_gateway(data)
            uris.update(found.uris)
            revisions[gateway.decode()] = found.revision
        return Subscriptions(frozenset(uris), own, Applied(revisions, changes))

    async def watch(self, session_id: str, uri: str, *, watch: bool) -> tuple[int, bool]:
        """Subscribe a session to a resource, or unsubscribe it. Raises SessionGone, TooMany.

        Returns the number of changes so far, and whether a gateway holds the session's feed: it then publishes
        APPLIED with this number.
        """
        changes, *rest = await self._link.run(
            _WATCH, [self._keys.session(session_id), self._keys.feed(session_id)],
            [
                uri, int(watch), _MAX_WATCHED, self._keys.gateway_alive(""), self._keys.events_channel(session_id),
                encode_event(Event(SUBSCRIPTIONS_CHANGED, session_id)),
            ],
        )
        if changes == -1:
            raise SessionGone("this session has ended; start a new session with initialize")
        if changes == -2:
            raise TooMany(f"a session watches {_MAX_WATCHED} resources at most; unsubscribe from some")
        return changes, rest[0] == 1
