"""Calls of this gateway that their clients can cancel by leaving the upstream's stream, which is how a server of the
stateless revision learns of it (MCP 2026-07-28 basic/patterns/cancellation)."""

from typing import Protocol

from gateway.wire.envelope import MessageId
from shared.errors import Cancelled, LongshoreError

_Key = tuple[str, type, MessageId]


class Running(Protocol):
    """What a call is at: an exchange with the upstream, or a wait for its client."""

    def fail(self, err: LongshoreError) -> None:
        """End it with `err`."""


class Cancellations:
    """Every such call that runs here. Built once at start-up."""

    def __init__(self) -> None:
        self._running: dict[_Key, Running] = {}

    def begin(self, session_id: str, message_id: MessageId, running: Running) -> None:
        """The call is on its way."""
        self._running[_key(session_id, message_id)] = running

    def end(self, session_id: str, message_id: MessageId, running: Running) -> None:
        """The call is over. Safe to repeat."""
        if self._running.get(_key(session_id, message_id)) is running:
            del self._running[_key(session_id, message_id)]

    def cancel(self, session_id: str, message_id: MessageId) -> None:
        """End the call with Cancelled, if it runs here."""
        if (running := self._running.get(_key(session_id, message_id))) is not None:
            running.fail(Cancelled("the client cancelled this request"))


def _key(session_id: str, message_id: MessageId) -> _Key:
    """1 and "1" are two ids."""
    return session_id, type(message_id), message_id
