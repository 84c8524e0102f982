"""Files of one `tools/call`: what its arguments need before it, and what its result gets after it."""

from typing import Any

import msgspec

from longshore.gateway.appkeys import BLOBS, FILES
from longshore.gateway.files import arguments, sep_2631, stored
from longshore.gateway.files.adapters import ToolAdapters
from longshore.gateway.mcp.call_files import attach_outputs, inline_files, reserved_output, retry_state, spill_over
from longshore.gateway.mcp.call_files.reserved_output import Pending
from longshore.gateway.mcp.call_files.retry_state import RetryState
from longshore.gateway.mcp.exchange import Exchange, lease_id
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.protocol_errors import InvalidParams, ToolInputError
from longshore.shared.errors import NotFound
from longshore.shared.records import ArtifactRecord, FileRecord


class CallFiles:
    """Files of one call: `prepare` it, `finish` its response, and `close` however it ends."""

    def __init__(self, exchange: Exchange, tool: ToolAdapters) -> None:
        self._exchange = exchange
        self._tool = tool
        self._spill_bytes = exchange.config.spill_over_bytes(exchange.mount.server)
        self._retry: RetryState | None = None        # where the call may go on with another request
        self._pending: Pending | None = None         # where the tool may write a file

    @property
    def changes_response(self) -> bool:
        """True where `finish` may change the response."""
        is_retried = self._retry is not None and self._retry.is_needed
        return self._pending is not None or self._spill_bytes is not None or is_retried

    async def prepare(self) -> bytes:
        """Build the call for the upstream: uploads stored, handles replaced by paths, an output path injected.

        Raises ToolInputError for a handle or file that is no good, InvalidParams, InvalidState, and as uploads do.
        """
        exchange, tool = self._exchange, self._tool
        if not tool.consumers and tool.producer is None:
            return exchange.body
        message = jsonrpc.open_object(exchange.body)
        params = jsonrpc.open_object(message["params"])
        given = _arguments_of(params)
        self._retry = await retry_state.opened(exchange, params)
        await inline_files.store(exchange, given, tool.consumers, self._retry)
        await self._fill_handles(given)
        if tool.producer is not None:
            self._pending = await reserved_output.begin(exchange, tool.producer, given, self._retry)
        params["arguments"] = jsonrpc.raw(given)
        message["params"] = jsonrpc.raw(params)
        body = jsonrpc.close_object(message)
        exchange.route.rebuild_headers(exchange, body)
        return body

    async def _fill_handles(self, given: dict[str, Any]) -> None:
        """Replace the handles in file arguments by paths, as the upstream sees them."""
        exchange, config = self._exchange, self._exchange.config
        schemes = [config.uploads.uri_scheme, config.artifacts.uri_scheme]
        if config.files.sep_2631:
            schemes.append(sep_2631.SCHEME)
        slots = [
            slot
            for adapter in self._tool.consumers
            for slot in arguments.find(
                given, adapter, scope=exchange.caller.session_id, schemes=(adapter.uri_scheme, *schemes)
            )
        ]
        try:
            records = await self._use([slot.handle.file_id for slot in slots])
        except NotFound as err:
            raise ToolInputError(
                "a file handle of this call is unknown or has expired; upload the file again and use its new handle"
            ) from err
        root = reserved_output.storage_root(exchange)
        for slot, record in zip(slots, records, strict=True):
            slot.fill_path(arguments.path_of(record, root))

    async def _use(self, file_ids: list[str]) -> list[FileRecord]:
        """Records of the files that this call uses from now on. Raises NotFound for one that is gone."""
        app, lease = self._exchange.request.app, lease_id(self._exchange.context, self._exchange.envelope)
        records = await app[LEASES].use(self._exchange.caller.session_id, lease, file_ids)
        for record in records:
            await stored.check_exists(app[BLOBS], app[FILES], record)
        return records

    async def finish(self, response: bytes) -> bytes:
        """Add what the call wrote to its response, and replace what is too large. Raises ArtifactMissing."""
        changed, captured = response, list[ArtifactRecord]()
        if self._pending is not None:
            changed, captured = await attach_outputs.finish(self._exchange, self._pending, response)
        if self._retry is not None:
            changed = retry_state.kept(self._exchange, self._retry, changed)
        if self._spill_bytes is None or len(response) <= self._spill_bytes:
            return changed
        return await spill_over.spilled(self._exchange, changed, self._spill_bytes, captured=captured)

    def close(self) -> None:
        """Give up the output that was reserved, unless it was captured or the call goes on with another request."""
        if self._pending is not None and not (self._retry is not None and self._retry.is_kept):
            reserved_output.abandon(self._exchange, self._pending)


def _arguments_of(params: jsonrpc.RawMap) -> dict[str, Any]:
    raw = params.get("arguments", msgspec.Raw(b"{}"))
    try:
        return _arguments.decode(raw) or {}
    except msgspec.DecodeError:
        raise InvalidParams("the arguments of a tool call must be an object") from None


_arguments: msgspec.json.Decoder[dict[str, Any] | None] = msgspec.json.Decoder(dict[str, Any] | None)
