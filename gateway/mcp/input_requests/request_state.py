"""`requestState`: which parked call a request goes on with, for whom, and until when. Pure.

MCP 2026-07-28 basic/patterns/mrtr §Server Requirements: sealed, of one caller, for one request, short-lived. That
each answers once is seen to by the mailbox that it names, which takes one message.
"""

import msgspec

from longshore.gateway.wire.protocol_errors import InvalidState
from longshore.shared.crypto.sealed_tokens import SealedRecord, Sealer
from longshore.shared.state.sessions import Caller


class RequestState(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Content of a `requestState`. The scope names principal, server and workspace at once."""

    scope: str
    server: str
    principal: str
    digest: bytes                # of the request
    expires_ms: int              # since the epoch
    process: str                 # of the gateway that holds the call
    call: str
    round: int
    box: str                     # the mailbox that takes the answers
    disconnect_box: str          # the mailbox that is told when the client goes away


_sealed = SealedRecord(RequestState)


def sealed(sealer: Sealer, state: RequestState) -> str:
    """Return the text that the client sends back."""
    return _sealed.seal(sealer, state)


def new(
    caller: Caller, *, digest: bytes, expires_ms: int, process: str, call: str, turn: tuple[int, str, str]
) -> RequestState:
    """The state of one round. `turn` is its number and its two mailboxes."""
    number, box, leaving = turn
    return RequestState(
        caller.session_id, caller.server, caller.principal, digest, expires_ms, process, call, number, box,
        leaving,
    )


def verified(sealer: Sealer, text: str, caller: Caller, digest: bytes, now_ms: int) -> RequestState:
    """The state behind `text`. Raises InvalidState when it is forged, another caller's, for another request or old."""
    state = _sealed.unseal(sealer, text)
    if state is None:
        raise InvalidState("this requestState is not one of ours; make the call again without it")
    if (state.scope, state.server, state.principal) != (caller.session_id, caller.server, caller.principal):
        raise InvalidState("this requestState was given to another caller, or in another workspace")
    if state.digest != digest:
        raise InvalidState("this requestState belongs to another request; send it with the same method and params")
    if state.expires_ms <= now_ms:
        raise InvalidState("this requestState has expired; make the call again without it")
    return state
