"""Retry state of a call with files, where client and upstream are both modern.

A server binds its `requestState` to the arguments of the first request, which hold paths of longshore's. A retry must
inject the same paths, so what they were made from travels in `requestState`, sealed, before the server's own
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

_PREFIX = "longshore."
_INPUT_REQUIRED = b'"input_required"'
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
    """Files of a call that a retry uses again."""

    artifact_id: str = ""        # reserved for the tool, "" for none so far
    not_before_ns: int = 0       # by the volume's clock, taken before the first request
    uploads: list[str] = field(default_factory=list)     # ids of the uploads of inline files, in order
    is_sealed: bool = False      # given to the client: the call continues with a retry

    @property
    def is_needed(self) -> bool:
        """True if a retry would inject other paths unless this state is restored."""
        return bool(self.artifact_id or self.uploads)


_sealed = SealedRecord(_Sealed)
_texts = msgspec.json.Decoder(str)


async def unseal_retry_state(exchange: Exchange, params: jsonrpc.RawMap) -> RetryState | None:
    """Return the retry state in `params`, a new one in a first request; None where there are no retries.

    Leaves the server its own state in `params`. Raises InvalidState for a state of another caller or request, one that
    has expired, and one of a call that is finished.
    """
    if not exchange.route.passes_request_state:
        return None
    text = _text(params.get("requestState", msgspec.Raw()))
    if not text.startswith(_PREFIX):
        return RetryState()
    sealed, _, state = text.removeprefix(_PREFIX).partition(".")
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


def seal_retry_state(exchange: Exchange, retry: RetryState, response: bytes) -> bytes:
    """Put the retry state into an `input_required` response; return any other response as it is."""
    if _INPUT_REQUIRED not in response or not retry.is_needed:
        return response
    message = jsonrpc.open_object(response)
    result = jsonrpc.open_object(message.get("result", msgspec.Raw(b"{}")))
    if bytes(result.get("resultType", b"")) != _INPUT_REQUIRED:
        return response
    retry.is_sealed = True
    sealed = _sealed.seal(exchange.request.app[RETRY_SEALER], _Sealed(
        exchange.caller.session_id, _digest(exchange), now_ms() + _TTL_MS, retry.artifact_id, retry.not_before_ns,
        retry.uploads, "requestState" in result,
    ))
    result["requestState"] = jsonrpc.raw(f"{_PREFIX}{sealed}.{_text(result.get('requestState', msgspec.Raw()))}")
    return jsonrpc.close_object(message | {"result": jsonrpc.raw(result)})


def _digest(exchange: Exchange) -> bytes:
    return server_requests.call_digest(exchange.envelope.method, exchange.body)


def _text(raw: msgspec.Raw) -> str:
    """Decode the string; "" for anything else."""
    try:
        return _texts.decode(raw)
    except msgspec.DecodeError:
        return ""


RETRY_SEALER = web.AppKey("retry_sealer", Sealer)
