"""Word that a scope has other resources than before: said at once, and once more for all that follows closely.

A call that leaves twenty files and a clean-up that ends a thousand change the same list: its listeners need to ask for
it again once, or twice where something came in between.
"""

import asyncio

import msgspec

from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import RESOURCES, Event
from longshore.shared.redis.connection import RedisLink

_QUIET_S = 0.25              # after a word, before the next one of the same scope
_encode = msgspec.msgpack.Encoder().encode


class ArtifactListNotifier:
    """Says which scopes' artifacts have come or gone. Keeps what it has said for a moment, by scope."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._pending: dict[str, bool] = {}         # scopes within their quiet time, and whether there is more to say

    def schedule(self, scope: str) -> None:
        """The scope's artifacts are others now. Does not wait, and is lost without a word while Redis is away: who
        listens is told by its gateway then that it may have missed something."""
        if scope in self._pending:
            self._pending[scope] = True
        else:
            self._publish(scope)

    def _publish(self, scope: str) -> None:
        self._pending[scope] = False
        self._link.send_nowait("PUBLISH", self._keys.news(scope), _encode(Event(RESOURCES, scope)))
        asyncio.get_running_loop().call_later(_QUIET_S, self._end_quiet_time, scope)

    def _end_quiet_time(self, scope: str) -> None:
        if self._pending.pop(scope):
            self._publish(scope)
