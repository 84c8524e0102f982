"""`files/authorizeUpload` and `files/authorizeDownload` (SEP-2631): links for a client to send and fetch files itself.

Where longshore does not offer the method, the request is forwarded: the upstream may have it.
"""


from aiohttp import web

from longshore.gateway.appkeys import BLOBS, FILES
from longshore.gateway.files import handles, sep_2631, stored
from longshore.gateway.files.announced_upload import AnnouncedUpload
from longshore.gateway.mcp.call_files import signed_urls, transfer_policy
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.forward import forward
from longshore.gateway.metrics import METRICS
from longshore.shared import ids
from longshore.shared.errors import NotFound
from longshore.shared.records import FileRecord
from longshore.shared.state.quota import FileLimits


async def upload(exchange: Exchange) -> web.StreamResponse:
    """Answer with a descriptor for one file, whose URI is valid once its bytes are there. Raises FileRefused."""
    if not transfer_policy.accepts_uploads(exchange.request, exchange.mount):
        return await forward(exchange, exchange.body, timeout_s=exchange.timeout_s)
    file = _checked(exchange, sep_2631.parse_upload(exchange.body, ids.new_id()))
    _check_secure(exchange)
    config, caller = exchange.config, exchange.caller
    url = signed_urls.announced_url(
        exchange.request, caller, file, ttl_s=config.core.auth.signed_upload_ttl_seconds
    )
    exchange.request.app[METRICS].credential(server=caller.server, operation="issue", result="success")
    value = sep_2631.announced_file(caller.session_id, file)
    return await exchange.answer(sep_2631.upload_result(value, url=url.text, expires_s=url.expires_s))


def _checked(exchange: Exchange, file: AnnouncedUpload) -> AnnouncedUpload:
    config = exchange.config
    limits = [config.uploads.max_file_bytes, *(size for size in FileLimits.of(config).budgets if size is not None)]
    if file.size_bytes is not None and file.size_bytes > min(limits):
        raise sep_2631.too_large(min(limits), file.size_bytes)
    if config.uploads.require_sha256 and not file.sha256:
        raise sep_2631.digest_required()
    return file


async def download(exchange: Exchange) -> web.StreamResponse:
    """Answer with a descriptor for a file of this caller: an upload, or a tool's output. Raises FileRefused."""
    config = exchange.config
    schemes = (sep_2631.SCHEME, config.artifacts.uri_scheme, config.uploads.uri_scheme)
    if not transfer_policy.offers_downloads(exchange.request, exchange.mount):
        return await forward(exchange, exchange.body, timeout_s=exchange.timeout_s)
    handle = handles.parse(sep_2631.parse_download(exchange.body), schemes)
    if handle is None:
        return await forward(exchange, exchange.body, timeout_s=exchange.timeout_s)
    if handle.scope != exchange.caller.session_id:
        raise sep_2631.unknown_file()
    record = await _found(exchange, handle.file_id)
    _check_secure(exchange)
    url = signed_urls.download_url(exchange.request, record)
    value = sep_2631.stored_file(record)
    return await exchange.answer(sep_2631.download_result(value, url=url.text, expires_s=url.expires_s))


async def _found(exchange: Exchange, file_id: str) -> FileRecord:
    """Find the record of a file that is there. Raises FileRefused."""
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
    if not transfer_policy.is_secure(exchange.request):
        raise sep_2631.insecure_transport()
