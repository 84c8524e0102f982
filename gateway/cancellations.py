"""Calls of this gateway that their clients can cancel by leaving the upstream's stream, which is how a server of the
stateless revision learns of it (MCP 2026-07-28 basic/patterns/cancellation)."""

from gateway.upstream.client import UpstreamExchange
from gateway.wire.envelope import MessageId
from shared.errors import Cancelled

_Key = tuple[str, type, MessageId]


class Cancellations:
    """Every such call that runs here. Built once at start-up."""

    def __init__(self) -> None:
        self._running: dict[_Key, UpstreamExchange] = {}

    def begin(self, session_id: str, message_id: MessageId, running: UpstreamExchange) -> None:
        """The call is on its way."""
        self._running[_key(session_id, message_id)] = running

    def end(self, session_id: str, message_id: MessageId, running: UpstreamExchange) -> None:
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
