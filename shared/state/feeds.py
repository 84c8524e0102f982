"""Who listens to an upstream for all who listen in a scope: one gateway at a time, the next one when it dies."""

from dataclasses import dataclass
from itertools import count

import msgspec

from longshore.shared.errors import SessionGone, TooMany
from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import Event, encode_event
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script, Scripts

SUBSCRIPTIONS_CHANGED = "wanted"            # what is wanted of the upstream's stream may have changed
VACANT = "vacant"            # nobody holds the upstream's stream any more
APPLIED = "applied"          # what is wanted is subscribed to; data: `Applied`
CHANGE = "change"            # a notification of the upstream's; data: the message

_CLAIM = Script("claim_feed")
_RELEASE = Script("release_feed")
_NOTE = Script("note_subscribed")
_WANT = Script("want_changes")
_WANTED = Script("wanted_changes")
_WATCH = Script("watch_resource")
_HELD_MS = 60_000
_ALIVE_MS = 5_000
_MOST_WATCHED = 1_000        # resources of one session


class Applied(msgspec.Struct, frozen=True):
    """How far whoever holds the stream has come with what is wanted."""

    gateways: dict[str, int]     # revision of what each wanted
    session: int                 # changes of what the session watches


class _GatewaySubscriptions(msgspec.Struct, frozen=True, array_like=True):
    revision: int
    uris: list[str]


@dataclass(frozen=True, slots=True)
class FeedClaim:
    """What became of asking for the stream."""

    is_held: bool
    holder: str              # who has it, or had it before; "-" for one that let go of it, "" for nobody
    upstream_subscriptions: bytes        # what whoever had it before noted of its subscriptions, b"" for nothing


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """What all who listen want together."""

    uris: frozenset[str]
    watched: frozenset[str]  # those that the session itself watches
    applied: Applied         # what to say once that is done

    def is_only_of(self, gateway: str) -> bool:
        """Whether no other gateway wants anything."""
        return self.applied.gateways.keys() <= {gateway}


_encode = msgspec.msgpack.Encoder().encode
_wants = msgspec.msgpack.Decoder(_GatewaySubscriptions)
_uris = msgspec.msgpack.Decoder(list[str])


class FeedStore:
    """Typed access to the scripts of feeds, for one gateway. One round trip a method. All raise StoreDown."""

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys, gateway: str) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys
        self.gateway = gateway
        self._revisions = count(1)

    def next_revision(self) -> int:
        """A number for what is wanted now, above all before it."""
        return next(self._revisions)

    async def heartbeat(self, holders: list[str]) -> list[str]:
        """Say that this gateway lives, which holds for five seconds. Those of `holders` that live no more."""
        await self._link.call("SET", self._keys.gateway_alive(self.gateway), "1", "PX", _ALIVE_MS)
        if not holders:
            return []
        found = await self._link.call("MGET", *(self._keys.gateway_alive(holder) for holder in holders))
        return [holder for holder, alive in zip(holders, found, strict=True) if alive is None]

    async def claim(self, scope: str) -> FeedClaim:
        """Take the upstream's stream of `scope`, or keep it for another minute; and all that is wanted of it."""
        taken, holder, subscribed = await self._scripts.run(
            _CLAIM, [self._keys.feed(scope), self._keys.feed_wants(scope)],
            [self.gateway, self._keys.gateway_alive(""), _HELD_MS],
        )
        return FeedClaim(taken == 1, holder.decode(), subscribed)

    async def release(self, scope: str) -> None:
        """Let go of it, and of all that this gateway wants. Another gateway takes it at once, if one wants it."""
        await self._scripts.run(
            _RELEASE, [self._keys.feed(scope), self._keys.feed_wants(scope)],
            [self.gateway, self._keys.news(scope), encode_event(Event(VACANT, scope))],
        )

    async def save_upstream_subscriptions(self, scope: str, subscribed: bytes) -> None:
        """Note it for whoever takes the stream over."""
        await self._scripts.run(_NOTE, [self._keys.feed(scope)], [self.gateway, subscribed])

    async def set_subscriptions(self, scope: str, revision: int, uris: list[str]) -> None:
        """Say what the listeners at this gateway want."""
        await self._scripts.run(
            _WANT, [self._keys.feed_wants(scope)],
            [
                self.gateway, _encode(_GatewaySubscriptions(revision, uris)), self._keys.news(scope),
                encode_event(Event(SUBSCRIPTIONS_CHANGED, scope)), _HELD_MS,
            ],
        )

    async def subscriptions(self, scope: str) -> Subscriptions:
        """What all who listen in `scope` want together."""
        watched, changes, *rest = await self._scripts.run(
            _WANTED, [self._keys.feed_wants(scope), self._keys.session(scope)],
            [self._keys.gateway_alive(""), self.gateway, _HELD_MS],
        )
        own = frozenset(_uris.decode(watched) if watched else ())
        uris, revisions = set(own), {}
        for gateway, wants in zip(rest[::2], rest[1::2], strict=True):
            found = _wants.decode(wants)
            uris.update(found.uris)
            revisions[gateway.decode()] = found.revision
        return Subscriptions(frozenset(uris), own, Applied(revisions, changes))

    async def watch(self, session_id: str, uri: str, *, watch: bool) -> tuple[int, bool]:
        """Let a session watch a resource, or not any more. How often that changed so far, and whether a gateway
        holds the session's stream of changes, which then says when it is done.

        Raises SessionGone, TooMany.
        """
        changes, *rest = await self._scripts.run(
            _WATCH, [self._keys.session(session_id), self._keys.feed(session_id)],
            [
                uri, int(watch), _MOST_WATCHED, self._keys.gateway_alive(""), self._keys.news(session_id),
                encode_event(Event(SUBSCRIPTIONS_CHANGED, session_id)),
            ],
        )
        if changes == -1:
            raise SessionGone("this session has ended; start a new session with initialize")
        if changes == -2:
            raise TooMany(f"a session watches {_MOST_WATCHED} resources at most; unsubscribe from some")
        return changes, rest[0] == 1
