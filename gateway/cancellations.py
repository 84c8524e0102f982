"""Calls of this gateway that their clients can cancel by leaving the upstream's stream, which is how a server of the
stateless revision learns of it (MCP 2026-07-28 basic/patterns/cancellation)."""

from collections import defaultdict
from typing import Protocol

from gateway.wire.envelope import MessageId
from shared.errors import Cancelled, LongshoreError

_Key = tuple[str, type, MessageId]


class Running(Protocol):
    """What a call is at: its rounds, an exchange with the upstream, or a wait for its client."""

    def fail(self, err: LongshoreError) -> None:
        """End it with `err`."""


class Cancellations:
    """Every such call that runs here. Built once at start-up."""

    def __init__(self) -> None:
        self._running: defaultdict[_Key, list[Running]] = defaultdict(list)
        self._cancelled: set[_Key] = set()

    def begin(self, session_id: str, message_id: MessageId, running: Running) -> None:
        """The call is on its way, or a part of it. Raises Cancelled for a part of one that was cancelled."""
        key = _key(session_id, message_id)
        if key in self._cancelled:
            raise _enough()
        self._running[key].append(running)

    def end(self, session_id: str, message_id: MessageId, running: Running) -> None:
        """The call is over, or this part of it. Safe to repeat."""
        key = _key(session_id, message_id)
        if left := [one for one in self._running.get(key, ()) if one is not running]:
            self._running[key] = left
        else:
            self._running.pop(key, None)
            self._cancelled.discard(key)

    def cancel(self, session_id: str, message_id: MessageId) -> None:
        """End the call with Cancelled, if it runs here."""
        key = _key(session_id, message_id)
        if running := self._running.get(key):
            self._cancelled.add(key)
            for one in running:
                one.fail(_enough())


def _enough() -> Cancelled:
    return Cancelled("the client cancelled this request")


def _key(session_id: str, message_id: MessageId) -> _Key:
    """1 and "1" are two ids."""
    return session_id, type(message_id), message_id
