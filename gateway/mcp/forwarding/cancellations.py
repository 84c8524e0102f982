"""Cancellation of running calls to modern upstreams, for legacy clients, across gateways.

A modern server learns of it when longshore closes its stream (MCP 2026-07-28 basic/patterns/cancellation).
"""

from collections import OrderedDict, defaultdict
from typing import Protocol

import msgspec
from aiohttp import web

from longshore.gateway.wire.envelope import MessageId
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import Cancelled, LongshoreError
from longshore.shared.messaging.pubsub import CANCELLED, Event

_KEPT_S = 30.0               # a cancellation may overtake its call on the way through a balancer, not by much
_MOST_KEPT = 1_000
_MOST_OF_SESSION = 32
_Key = tuple[str, type, MessageId]


class _Cancel(msgspec.Struct, frozen=True, array_like=True):
    session_id: str
    message_id: str | int


_cancels = msgspec.msgpack.Decoder(_Cancel)


class Running(Protocol):
    """Part of a running call: its input rounds, its upstream request, or a wait for its client."""

    def fail(self, err: LongshoreError) -> None:
        """End this part with `err`."""


class Cancellations:
    """Every cancellable call of this process. Built once at start-up."""

    def __init__(self) -> None:
        self._running: defaultdict[_Key, list[Running]] = defaultdict(list)
        self._cancelled: set[_Key] = set()
        self._early: OrderedDict[_Key, float] = OrderedDict()    # of calls that are not here, and until when

    def register(self, session_id: str, message_id: MessageId, running: Running) -> None:
        """Register a part of a call. Raises Cancelled for a call that was cancelled."""
        key = _key(session_id, message_id)
        if key in self._cancelled or self._early.pop(key, 0.0) > monotonic_s():
            raise _enough()
        self._running[key].append(running)

    def unregister(self, session_id: str, message_id: MessageId, running: Running) -> None:
        """Remove a part of a call. Safe to repeat."""
        key = _key(session_id, message_id)
        if left := [one for one in self._running.get(key, ()) if one is not running]:
            self._running[key] = left
        else:
            self._running.pop(key, None)
            self._cancelled.discard(key)

    def cancel(self, session_id: str, message_id: MessageId) -> bool:
        """End the call with Cancelled. Return True where it runs in this process."""
        key = _key(session_id, message_id)
        running = self._running.get(key, ())
        if running:
            self._cancelled.add(key)
        for one in list(running):
            one.fail(_enough())
        return bool(running)

    def on_event(self, event: Event) -> None:
        """Handle a cancellation that another gateway received, of a call that runs here or is still to come."""
        try:
            asked = _cancels.decode(event.data)
        except msgspec.DecodeError:
            return
        if self.cancel(asked.session_id, asked.message_id):
            return
        now_s = monotonic_s()
        while self._early and (len(self._early) >= _MOST_KEPT or next(iter(self._early.values())) < now_s):
            self._early.popitem(last=False)
        if sum(key[0] == asked.session_id for key in self._early) < _MOST_OF_SESSION:
            self._early[_key(asked.session_id, asked.message_id)] = now_s + _KEPT_S


def word_of(session_id: str, message_id: str | int) -> Event:
    """The word that tells every gateway of a cancellation."""
    return Event(CANCELLED, "", msgspec.msgpack.encode(_Cancel(session_id, message_id)))


def _enough() -> Cancelled:
    return Cancelled("the client cancelled this request")


def _key(session_id: str, message_id: MessageId) -> _Key:
    """Keep the ids 1 and "1" apart."""
    return session_id, type(message_id), message_id


CANCELLATIONS = web.AppKey("cancellations", Cancellations)
