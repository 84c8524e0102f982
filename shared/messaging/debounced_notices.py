"""Debounced events that a scope's artifact list has changed: one at once, one more for all changes that follow closely.

A call that writes twenty files, or a clean-up that removes a thousand, changes the same list: its subscribers need to
list it again once, or twice if something changed in between.
"""

import asyncio

from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import RESOURCES, Event, Publisher
from longshore.shared.redis.connection import RedisLink

_QUIET_S = 0.25              # between two events of the same scope


class ArtifactListNotifier:
    """Publishes the scopes whose artifact lists have changed."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._events = Publisher(link, keys)
        self._changed: dict[str, bool] = {}      # scopes in their quiet time: changed again since the event?

    def schedule(self, scope: str) -> None:
        """Schedule the event for a scope. Does not wait. Lost while Redis is away: subscribers then get RESYNC."""
        if scope in self._changed:
            self._changed[scope] = True
        else:
            self._publish(scope)

    def _publish(self, scope: str) -> None:
        self._changed[scope] = False
        self._events.publish_nowait(Event(RESOURCES, scope))
        asyncio.get_running_loop().call_later(_QUIET_S, self._end_quiet_time, scope)

    def _end_quiet_time(self, scope: str) -> None:
        if self._changed.pop(scope):
            self._publish(scope)
