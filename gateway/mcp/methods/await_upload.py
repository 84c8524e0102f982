"""Tool that waits for the files of an upload link, so that a model notices that its user has uploaded."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import FILES, UPLOAD_WAITS
from longshore.gateway.files.uploaded import describe_uploads
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.replies.event_streams import STREAMS
from longshore.gateway.tools import own
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError, NotFound
from longshore.shared.ids import is_id
from longshore.shared.records import UploadRecord
from longshore.shared.state.grants import LinkUse

_LONGEST_LINK = 2_000
_Tell = Callable[[float, LinkUse], Awaitable[None]]


class _Arguments(msgspec.Struct, forbid_unknown_fields=True):
    link_id: str
    wait_seconds: float = own.AWAIT_DEFAULT_S


class _Meta(msgspec.Struct):
    progress_token: str | int | None = msgspec.field(default=None, name="progressToken")


class _Params(msgspec.Struct):
    arguments: msgspec.Raw = msgspec.Raw(b"{}")
    meta: _Meta = msgspec.field(default_factory=_Meta, name="_meta")


class _Call(msgspec.Struct):
    params: _Params


_call = msgspec.json.Decoder(_Call)
_arguments = msgspec.json.Decoder(_Arguments)


async def await_upload(exchange: Exchange) -> web.StreamResponse:
    """Answer when the files of the link are there, or when the time to wait is over.

    A client that gave a progress token gets a progress notification every five seconds.
    """
    nonce, wait_s, token = _asked(exchange.body)
    if token is None or not exchange.reply.takes_messages:
        return await exchange.answer(await _result(exchange, nonce, wait_s, _say_nothing))
    await exchange.reply.start()
    try:
        return await exchange.answer(await _result(exchange, nonce, wait_s, _teller(exchange, wait_s, token)))
    except LongshoreError as err:
        return await exchange.reply.fail(err)


def _asked(body: bytes) -> tuple[str, float, str | int | None]:
    try:
        params = _call.decode(body).params
        asked = _arguments.decode(params.arguments)
    except msgspec.DecodeError:
        raise ToolInputError(
            "pass link_id, as the tool that made the upload link answered it, and wait_seconds if you like"
        ) from None
    nonce = asked.link_id
    if "://" in nonce:
        nonce = parse_qs(nonce[:_LONGEST_LINK].partition("?")[2]).get("nonce", [""])[0]
    if not is_id(nonce):
        raise ToolInputError("link_id is no id of an upload link; pass link_id or upload_url of the upload link")
    return nonce, min(max(asked.wait_seconds, 0.0), own.AWAIT_MAX_S), params.meta.progress_token


async def _result(exchange: Exchange, nonce: str, wait_s: float, tell: _Tell) -> dict[str, Any]:
    """Wait, and build the tool's result. Raises ToolInputError for a link of another session, or whose files are gone.
    """
    scope, seen = exchange.caller.session_id, LinkUse()

    async def wait() -> None:
        nonlocal seen
        began_s = monotonic_s()
        async with aclosing(exchange.request.app[UPLOAD_WAITS].watch(nonce)) as looks:
            async for seen in looks:
                if seen.scope not in ("", scope):
                    raise ToolInputError("this upload link belongs to another session; ask for a link of your own")
                if seen.is_complete or monotonic_s() - began_s >= wait_s:
                    return
                await tell(monotonic_s() - began_s, seen)

    waiting = asyncio.timeout(max(wait_s, 1.0))
    try:
        async with waiting:
            await exchange.request.app[STREAMS].hold(wait())     # a gateway that drains answers what there is
    except TimeoutError:
        if not waiting.expired():
            raise
    return await _tool_result(exchange, nonce, seen)


async def _tool_result(exchange: Exchange, nonce: str, seen: LinkUse) -> dict[str, Any]:
    status = "complete" if seen.is_complete else "receiving" if seen.scope else "waiting"
    server, scope = exchange.mount.server, exchange.caller.session_id
    records: list[UploadRecord] = []
    if seen.file_ids:
        try:
            found = await exchange.request.app[FILES].use(scope, list(seen.file_ids))
        except NotFound:
            raise ToolInputError("the files of this link were there, but have expired; upload them again") from None
        records = [record for record in found if isinstance(record, UploadRecord)]
    answer = describe_uploads(exchange.config.uploads.uri_scheme, server.id, scope, records)
    answer = {"status": status, "link_id": nonce, **answer, "note": own.await_note(server, status)}
    return {
        "content": [{"type": "text", "text": msgspec.json.encode(answer).decode()}], "structuredContent": answer,
    }


async def _say_nothing(_elapsed_s: float, _seen: LinkUse) -> None:
    """Report no progress: the client gave no token."""


def _teller(exchange: Exchange, wait_s: float, token: str | int) -> _Tell:
    async def tell(elapsed_s: float, seen: LinkUse) -> None:
        message = "a transfer is under way" if seen.scope else "nothing has been sent yet"
        params = {"progressToken": token, "progress": round(elapsed_s, 3), "total": wait_s, "message": message}
        await exchange.reply.notify(jsonrpc.notification("notifications/progress", params))

    return tell
