"""`files/authorizeUpload` and `files/authorizeDownload` (SEP-2631): where a client sends a file, and fetches one.

Where nothing of ours is to be said, the request goes to the upstream, which may have the methods itself.
"""

from typing import Any

from aiohttp import web

from longshore.gateway.appkeys import BLOBS, CONFIG, FILES
from longshore.gateway.auth.client_address import base_url
from longshore.gateway.files import handles, sep_2631, stored
from longshore.gateway.files.announced_upload import AnnouncedUpload
from longshore.gateway.mcp.call_files import signed_urls
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.relay import relay
from longshore.gateway.mcp.forwarding.send import sent
from longshore.gateway.mcp.replies.own_results import own_result
from longshore.gateway.metrics import METRICS
from longshore.gateway.mounts import Mount
from longshore.shared import ids
from longshore.shared.config.urls import is_encrypted_or_local
from longshore.shared.errors import NotFound
from longshore.shared.records import FileRecord
from longshore.shared.state.quota import FileLimits


def accepts_uploads(request: web.Request, mount: Mount) -> bool:
    """Whether files may be announced to this server."""
    return request.app[CONFIG].files.sep_2631 and mount.adapters.accepts_uploads


def offers_downloads(request: web.Request, mount: Mount) -> bool:
    """Whether files of this server may be fetched."""
    config = request.app[CONFIG]
    return config.files.sep_2631 and config.core.allow_artifacts_download and mount.adapters.keeps_files


def is_secure(request: web.Request) -> bool:
    """Whether this caller reaches us in a way that files may travel."""
    return is_encrypted_or_local(base_url(request.app[CONFIG], request.remote or "", request.headers))


def capability(request: web.Request, mount: Mount) -> dict[str, Any]:
    """The capability, by its name; nothing where the feature is off, or no descriptor could be given out."""
    upload, download = accepts_uploads(request, mount), offers_downloads(request, mount)
    if not (upload or download) or not is_secure(request):
        return {}
    return {sep_2631.CAPABILITY: sep_2631.server_capability(upload=upload, download=download)}


async def upload(exchange: Exchange) -> web.StreamResponse:
    """A descriptor for one file, whose URI is good from the moment its bytes are there. Raises FileRefused."""
    if not accepts_uploads(exchange.request, exchange.mount):
        return await _passed_on(exchange)
    file = _checked(exchange, sep_2631.parse_upload(exchange.body, ids.new_id()))
    _check_secure(exchange)
    config, caller = exchange.config, exchange.caller
    url = signed_urls.announced_url(
        exchange.request, caller, file, ttl_s=config.core.auth.signed_upload_ttl_seconds
    )
    exchange.request.app[METRICS].credential(server=caller.server, operation="issue", result="success")
    value = sep_2631.announced_file(caller.session_id, file)
    return own_result(exchange, sep_2631.upload_result(value, url=url.text, expires_s=url.expires_s))


def _checked(exchange: Exchange, file: AnnouncedUpload) -> AnnouncedUpload:
    config = exchange.config
    limits = [config.uploads.max_file_bytes, *(size for size in FileLimits.of(config).budgets if size is not None)]
    if file.size_bytes is not None and file.size_bytes > min(limits):
        raise sep_2631.too_large(min(limits), file.size_bytes)
    if config.uploads.require_sha256 and not file.sha256:
        raise sep_2631.digest_required()
    return file


async def download(exchange: Exchange) -> web.StreamResponse:
    """A descriptor for a file of this caller: one that it sent, or that a tool made. Raises FileRefused."""
    config = exchange.config
    schemes = (sep_2631.SCHEME, config.artifacts.uri_scheme, config.uploads.uri_scheme)
    if not offers_downloads(exchange.request, exchange.mount):
        return await _passed_on(exchange)
    handle = handles.parse(sep_2631.parse_download(exchange.body), schemes)
    if handle is None:
        return await _passed_on(exchange)
    if handle.scope != exchange.caller.session_id:
        raise sep_2631.unknown_file()
    record = await _found(exchange, handle.file_id)
    _check_secure(exchange)
    url = signed_urls.download_link(exchange.request, record)
    value = sep_2631.stored_file(record)
    return own_result(exchange, sep_2631.download_result(value, url=url.text, expires_s=url.expires_s))


async def _found(exchange: Exchange, file_id: str) -> FileRecord:
    """The record, whose file is there. Raises FileRefused."""
    app, server = exchange.request.app, exchange.caller.server
    try:
        (record,) = await app[FILES].use(exchange.caller.session_id, [file_id])
        await stored.check_exists(app[BLOBS], app[FILES], record)
    except NotFound:
        raise sep_2631.unknown_file() from None
    if record.server != server:
        raise sep_2631.unknown_file()
    return record


def _check_secure(exchange: Exchange) -> None:
    if not is_secure(exchange.request):
        raise sep_2631.insecure_transport()


async def _passed_on(exchange: Exchange) -> web.StreamResponse:
    async with sent(exchange, exchange.body, within_s=exchange.within_s) as answer:
        return await relay(exchange, answer)
