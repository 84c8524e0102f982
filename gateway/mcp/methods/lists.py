"""Lists that longshore adds to: tools, resources and resource templates, with the session's artifacts.

The upstream's entries keep their bytes and order. Those of longshore follow on the last page.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from longshore.gateway.appkeys import FILES
from longshore.gateway.files import handles, openai_files, results, sep_2631
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.call_files import read_artifact, transfer_policy
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding import mirrored_headers
from longshore.gateway.mcp.forwarding.forward import forward, relay, send
from longshore.gateway.mcp.list_cache import LIST_CACHE, Fetch, Key, fingerprint
from longshore.gateway.mcp.methods.list_additions import Additions, Each
from longshore.gateway.tools import own
from longshore.gateway.tools.describe import FileAnnotations, ToolDescriber
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.jsonrpc import RawMap
from longshore.gateway.wire.protocol_errors import InvalidParams
from longshore.shared.errors import NotFound
from longshore.shared.records import ArtifactRecord

_PAGE = 200
_CURSOR = "longshore-artifacts:"


async def tools(exchange: Exchange) -> web.StreamResponse:
    """Answer `tools/list`: the upstream's pages, longshore's tools at the end of the last."""
    mount = exchange.mount
    ours = own.helper_tools(mount.server) if mount.adapters.accepts_uploads else []
    if ours and capabilities.TOOLS not in exchange.session.flags:
        return await exchange.answer({"tools": ours})
    describer = ToolDescriber(
        exchange.config, mount.server, mount.adapters.file_arguments(), marks=_marks(exchange)
    )
    each = describer.describe if describer.changes_any else None
    return await _with_ours(exchange, "tools", ours, next_cursor=None, each=each)


def _marks(exchange: Exchange) -> FileAnnotations:
    """Annotations for file arguments in tool schemas."""
    config, request = exchange.config, exchange.request
    changes: list[Callable[[RawMap], RawMap]] = []
    if transfer_policy.accepts_uploads(request, exchange.mount):
        changes.append(partial(
            sep_2631.with_schema_key, max_bytes=config.uploads.max_file_bytes,
            upload=transfer_policy.is_secure(request),
            # A data: URI of a client that knows the draft alone has no digest in it.
            inline=config.uploads.data_uri_max_bytes > 0 and not config.uploads.require_sha256,
        ))
    if config.files.openai_file_params:
        changes.append(openai_files.accept_file_object)
    return FileAnnotations(tuple(changes), openai_files.with_file_params if config.files.openai_file_params else None)


async def resources(exchange: Exchange) -> web.StreamResponse:
    """Answer `resources/list`: the upstream's pages, then the workflow document and this session's artifacts."""
    cursor = exchange.envelope.cursor
    if not cursor.startswith(_CURSOR):
        entries, next_cursor = await _own_resources(exchange, after="")
        if capabilities.RESOURCES in exchange.session.flags:
            return await _with_ours(exchange, "resources", entries, next_cursor=next_cursor)
        if not (exchange.mount.adapters.accepts_uploads or exchange.mount.adapters.exposes_artifacts):
            return await _with_ours(exchange, "resources", [], next_cursor=None)
    else:
        entries, next_cursor = await _own_resources(exchange, after=cursor.removeprefix(_CURSOR))
    page: dict[str, Any] = {"resources": entries}
    if next_cursor is not None:
        page["nextCursor"] = next_cursor
    return await exchange.answer(page)


async def templates(exchange: Exchange) -> web.StreamResponse:
    """Answer `resources/templates/list`: the upstream's pages, then the template of artifact URIs."""
    if not exchange.mount.adapters.exposes_artifacts:
        return await upstreams(exchange)
    ours = [results.resource_template(exchange.config.artifacts.uri_scheme)]
    if capabilities.RESOURCES in exchange.session.flags:
        return await _with_ours(exchange, "resourceTemplates", ours, next_cursor=None)
    return await exchange.answer({"resourceTemplates": ours})


async def read(exchange: Exchange) -> web.StreamResponse:
    """Answer `resources/read`: artifacts and the workflow document from here, everything else from the upstream."""
    uri, config, adapters = exchange.envelope.uri, exchange.config, exchange.mount.adapters
    if uri == own.WORKFLOW_URI and adapters.accepts_uploads:
        text = own.workflow_text(config, exchange.mount.server)
        contents = [{"uri": uri, "mimeType": "text/markdown", "text": text}]
        return await exchange.answer({"contents": contents})
    if adapters.exposes_artifacts and _is_ours(exchange, uri):
        record = await _artifact_at(exchange, uri)
        offers = transfer_policy.offers_downloads(exchange.request, exchange.mount)
        if exchange.fetches_files and offers and not _is_file(uri):
            return await exchange.answer({"contents": [sep_2631.resource_contents(uri, record)]})
        if not exchange.reply.owns_response:
            return await exchange.reply.finish(
                await read_artifact.read_contents(exchange.request, record, uri, exchange.envelope.id)
            )
        head = exchange.route.own_result(exchange, {})
        return await read_artifact.send_contents(exchange.request, record, uri, exchange.envelope.id, head=head)
    return await forward(exchange, exchange.body, timeout_s=exchange.timeout_s)


def _is_ours(exchange: Exchange, uri: str) -> bool:
    """True where the URI names an artifact, by its own name or by that of its file; the upstream may have files too."""
    is_file = exchange.config.files.sep_2631 and handles.parse(uri, (sep_2631.SCHEME,)) is not None
    return is_file or handles.begins_with(uri, (exchange.config.artifacts.uri_scheme,))


def _is_file(uri: str) -> bool:
    return handles.begins_with(uri, (sep_2631.SCHEME,))


def is_ours(exchange: Exchange) -> bool:
    """True for a `resources/read` that is answered from here."""
    uri, adapters = exchange.envelope.uri, exchange.mount.adapters
    return (uri == own.WORKFLOW_URI and adapters.accepts_uploads) or (
        adapters.exposes_artifacts and handles.begins_with(uri, (exchange.config.artifacts.uri_scheme,))
    )


async def _artifact_at(exchange: Exchange, uri: str) -> ArtifactRecord:
    handle = handles.parse(uri, (exchange.config.artifacts.uri_scheme, sep_2631.SCHEME))
    if handle is None:
        raise InvalidParams("this artifact URI is malformed; use one from resources/list or a tool result")
    gone = NotFound("no artifact of this URI in this session; it may have expired")
    if handle.scope != exchange.caller.session_id:
        raise gone
    (record,) = await exchange.request.app[FILES].use(handle.scope, [handle.file_id])
    if not isinstance(record, ArtifactRecord) or not record.expose or handle.name not in (None, record.name):
        raise gone
    return record


async def _own_resources(exchange: Exchange, *, after: str) -> tuple[list[dict[str, Any]], str | None]:
    """Build one page of longshore's entries, and the cursor of the next. `after` is the last artifact id of the page
    before.
    """
    adapters, scheme = exchange.mount.adapters, exchange.config.artifacts.uri_scheme
    entries: list[dict[str, Any]] = [own.WORKFLOW_ENTRY] if adapters.accepts_uploads and not after else []
    if not adapters.exposes_artifacts:
        return entries, None
    records = sorted(
        (record for record in await exchange.request.app[FILES].list_artifacts(exchange.caller.session_id)
         if record.expose),
        key=lambda record: (record.created_ms, record.id),
    )
    start = next((index + 1 for index, record in enumerate(records) if record.id == after), 0)
    page = records[start:start + _PAGE]
    entries += [results.resource_entry(record, handles.artifact_uri(scheme, record)) for record in page]
    more = start + _PAGE < len(records)
    return entries, f"{_CURSOR}{page[-1].id}" if more else None


async def upstreams(exchange: Exchange) -> web.StreamResponse:
    """Answer a list that longshore adds nothing to."""
    return await _with_ours(exchange, "", [], next_cursor=None)


async def _with_ours(
    exchange: Exchange, name: str, ours: list[dict[str, Any]], *, next_cursor: str | None, each: Each | None = None
) -> web.StreamResponse:
    """Answer with the upstream's list, cached or fetched, its entries changed by `each`, with longshore's at its end.
    """
    files_come = name == "resources" and exchange.mount.adapters.exposes_artifacts
    added = Additions(
        name, ours, next_cursor, each, is_private=exchange.route.lists_carry_ttl and (bool(ours) or files_come)
    )
    cache = exchange.request.app[LIST_CACHE]
    if not cache.is_on or exchange.route.lists_carry_ttl:
        return await _fetch(exchange, added, None)
    key = _key(exchange)
    if (kept := await cache.find(key)) is not None:
        response = jsonrpc.result(exchange.envelope.id, kept)
        return await exchange.reply.finish(added.merged(response) if added.changes_any else response)
    with cache.fetching(key) as fetch:
        return await _fetch(exchange, added, fetch)


async def _fetch(exchange: Exchange, added: Additions, fetch: Fetch | None) -> web.StreamResponse:
    """Answer with the upstream's list, fetched now, and kept where others may want it."""
    learns = added.name == "tools" and exchange.route.reads_schemas

    async def change(response: bytes) -> bytes:
        result = jsonrpc.open_object(response).get("result")
        if fetch is not None and result is not None:
            fetch.keep(result)
        if learns and result is not None:
            mirrored_headers.learn(exchange, bytes(result))
        return added.merged(response) if added.changes_any else response

    async with send(exchange, exchange.body, timeout_s=exchange.timeout_s) as answer:
        if answer.status == 404 and added.ours and exchange.route.has_404_for_methods:
            return await exchange.answer(added.alone())
        return await relay(exchange, answer, change=change if added.changes_any or fetch or learns else None)


def _key(exchange: Exchange) -> Key:
    """Cache key of the list."""
    session, envelope = exchange.session, exchange.envelope
    if capabilities.SESSIONS in session.flags:
        return (exchange.caller.server, exchange.caller.session_id, session.lists, envelope.method, envelope.cursor)
    headers = fingerprint(exchange.upstream_headers())
    return (exchange.caller.server, headers, session.protocol, envelope.method, envelope.cursor)
