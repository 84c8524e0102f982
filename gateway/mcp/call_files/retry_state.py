"""What a call with files keeps over its rounds, where client and server both speak the stateless revision.

A server binds its state to the arguments that it saw, which hold paths of longshore's; they must be the same when the
client sends its call again. What they were made from travels in `requestState`, sealed, before the server's own
(MCP 2026-07-28 basic/patterns/mrtr).
"""

from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import FILES
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.wire import jsonrpc, server_requests
from longshore.gateway.wire.protocol_errors import InvalidState
from longshore.shared.clock import now_ms
from longshore.shared.crypto.sealed_tokens import SealedRecord, Sealer

_MARK = "longshore."
_KIND = b'"input_required"'
_TTL_MS = 3_600_000


class _Sealed(msgspec.Struct, frozen=True, array_like=True, tag=1):
    scope: str                   # names principal, server and workspace at once
    digest: bytes                # of the client's request
    expires_ms: int              # since the epoch
    artifact_id: str
    not_before_ns: int
    uploads: list[str]
    has_state: bool              # the server's own follows


@dataclass(slots=True)
class RetryState:
    """What makes the same paths again."""

    artifact_id: str = ""        # that the tool may write, "" for none so far
    not_before_ns: int = 0       # by the volume's clock, taken before the first round
    uploads: list[str] = field(default_factory=list)     # that `data:` URIs became, in order
    is_kept: bool = False        # the call goes on with another request

    @property
    def is_needed(self) -> bool:
        """Whether the arguments would not be the same without it."""
        return bool(self.artifact_id or self.uploads)


_sealed = SealedRecord(_Sealed)
_texts = msgspec.json.Decoder(str)


async def opened(exchange: Exchange, params: jsonrpc.RawMap) -> RetryState | None:
    """What this call goes on with, nothing in a first round; None where nothing is carried at all.

    Leaves the server its own state in `params`. Raises InvalidState for what was given to another caller or for
    another request, is too old, or has come to its end.
    """
    if not exchange.route.passes_request_state:
        return None
    said = _text(params.get("requestState", msgspec.Raw()))
    if not said.startswith(_MARK):
        return RetryState()
    sealed, _, state = said.removeprefix(_MARK).partition(".")
    found, scope = _sealed.unseal(exchange.request.app[RETRY_SEALER], sealed), exchange.caller.session_id
    if found is None or found.scope != scope or found.digest != _digest(exchange):
        raise InvalidState("this requestState is not of this caller and this request; make the call again without it")
    if found.expires_ms <= now_ms():
        raise InvalidState("this requestState has expired; make the call again without it")
    if found.artifact_id and await exchange.request.app[FILES].find(scope, [found.artifact_id]):
        raise InvalidState("the call of this requestState has ended; make the call again without it")
    if found.has_state:
        params["requestState"] = jsonrpc.raw(state)
    else:
        del params["requestState"]
    return RetryState(found.artifact_id, found.not_before_ns, list(found.uploads))


def kept(exchange: Exchange, carried: RetryState, response: bytes) -> bytes:
    """The response; where it wants input, with what the call goes on with in its state."""
    if _KIND not in response or not carried.is_needed:
        return response
    message = jsonrpc.open_object(response)
    result = jsonrpc.open_object(message.get("result", msgspec.Raw(b"{}")))
    if bytes(result.get("resultType", b"")) != _KIND:
        return response
    carried.is_kept = True
    sealed = _sealed.seal(exchange.request.app[RETRY_SEALER], _Sealed(
        exchange.caller.session_id, _digest(exchange), now_ms() + _TTL_MS, carried.artifact_id,
        carried.not_before_ns, carried.uploads, "requestState" in result,
    ))
    result["requestState"] = jsonrpc.raw(f"{_MARK}{sealed}.{_text(result.get('requestState', msgspec.Raw()))}")
    return jsonrpc.close_object(message | {"result": jsonrpc.raw(result)})


def _digest(exchange: Exchange) -> bytes:
    return server_requests.call_digest(exchange.envelope.method, exchange.body)


def _text(raw: msgspec.Raw) -> str:
    """The string, "" for anything else."""
    try:
        return _texts.decode(raw)
    except msgspec.DecodeError:
        return ""


RETRY_SEALER = web.AppKey("carried", Sealer)
