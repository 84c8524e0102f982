"""Files of one `tools/call`: uploads for its arguments before it, artifacts for its result after it."""

from typing import Any

import msgspec

from longshore.gateway.appkeys import BLOBS, FILES
from longshore.gateway.files import arguments, sep_2631, stored
from longshore.gateway.files.adapters import ToolAdapters
from longshore.gateway.mcp.call_files import reserved_output
from longshore.gateway.mcp.call_files.attach_outputs import attach_outputs
from longshore.gateway.mcp.call_files.inline_files import store_inline_files
from longshore.gateway.mcp.call_files.reserved_output import ReservedOutput
from longshore.gateway.mcp.call_files.retry_state import RetryState, seal_retry_state, unseal_retry_state
from longshore.gateway.mcp.call_files.spill_over import spill_over
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
        self._retry: RetryState | None = None        # where the client may have to retry
        self._output: ReservedOutput | None = None   # where the tool may write a file

    @property
    def changes_response(self) -> bool:
        """True where `finish` may change the response."""
        is_retried = self._retry is not None and self._retry.is_needed
        return self._output is not None or self._spill_bytes is not None or is_retried

    async def prepare(self) -> bytes:
        """Build the call for the upstream: uploads stored, handles replaced by paths, an output path injected.

        Raises ToolInputError for a handle or file that is not valid, InvalidParams, InvalidState, and as uploads do.
        """
        exchange, tool = self._exchange, self._tool
        if not tool.consumers and tool.producer is None:
            return exchange.body
        message = jsonrpc.open_object(exchange.body)
        params = jsonrpc.open_object(message["params"])
        given = _arguments_of(params)
        self._retry = await unseal_retry_state(exchange, params)
        await store_inline_files(exchange, given, tool.consumers, self._retry)
        await self._fill_handles(given)
        if tool.producer is not None:
            self._output = await reserved_output.reserve(exchange, tool.producer, given, self._retry)
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
        """Return the records of the files and hold them for the call. Raises NotFound where one is missing."""
        app, lease = self._exchange.request.app, lease_id(self._exchange.context, self._exchange.envelope)
        records = await app[LEASES].use(self._exchange.caller.session_id, lease, file_ids)
        for record in records:
            await stored.check_exists(app[BLOBS], app[FILES], record)
        return records

    async def finish(self, response: bytes) -> bytes:
        """Add the call's artifacts to its response, and replace values that are too large. Raises ArtifactMissing."""
        changed, captured = response, list[ArtifactRecord]()
        if self._output is not None:
            changed, captured = await attach_outputs(self._exchange, self._output, response)
        if self._retry is not None:
            changed = seal_retry_state(self._exchange, self._retry, changed)
        if self._spill_bytes is None or len(response) <= self._spill_bytes:
            return changed
        return await spill_over(self._exchange, changed, self._spill_bytes, captured=captured)

    def close(self) -> None:
        """Release the reserved output, unless it was captured or the client retries the call."""
        if self._output is not None and not (self._retry is not None and self._retry.is_sealed):
            reserved_output.release(self._exchange, self._output)


def _arguments_of(params: jsonrpc.RawMap) -> dict[str, Any]:
    raw = params.get("arguments", msgspec.Raw(b"{}"))
    try:
        return _arguments.decode(raw) or {}
    except msgspec.DecodeError:
        raise InvalidParams("the arguments of a tool call must be an object") from None


_arguments: msgspec.json.Decoder[dict[str, Any] | None] = msgspec.json.Decoder(dict[str, Any] | None)
