"""`requestState` of a suspended call: names the call that a client request resumes, its caller, and its expiry. Pure.

MCP 2026-07-28 basic/patterns/mrtr §Server Requirements: sealed, bound to one caller and one request, short-lived. It
can be used once, since the mailbox that it names takes one message.
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
    process: str                 # of the gateway that runs the call
    call: str
    round: int
    box: str                     # mailbox for the resumption
    disconnect_box: str          # mailbox for the disconnect of a client at another gateway


_sealed = SealedRecord(RequestState)


def seal(sealer: Sealer, state: RequestState) -> str:
    """Return the text that the client sends back."""
    return _sealed.seal(sealer, state)


def unseal(sealer: Sealer, text: str, caller: Caller, digest: bytes, now_ms: int) -> RequestState:
    """Return the state in `text`. Raises InvalidState where it is forged, expired, or of another caller or request."""
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
