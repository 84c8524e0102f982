"""Signed URLs of this gateway for uploads and downloads, under the address that the caller reaches it at."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, SIGNER
from longshore.gateway.auth.client_address import base_url
from longshore.gateway.files.announced_upload import AnnouncedUpload, encode_target
from longshore.gateway.request_context import SESSION_HEADER
from longshore.gateway.tools.own import UploadLink
from longshore.shared import ids
from longshore.shared.clock import now_s
from longshore.shared.crypto.signed_links import Link
from longshore.shared.records import ArtifactRecord, FileRecord
from longshore.shared.state.sessions import Caller


@dataclass(frozen=True, slots=True)
class SignedUrl:
    """Absolute URL with its expiry."""

    text: str
    expires_s: int           # since the epoch


def upload_link(request: web.Request, caller: Caller, *, ttl_s: int) -> UploadLink:
    """Build a one-time upload link of the caller's session. Nothing is stored until it is used."""
    link = Link(
        purpose="upload", server=caller.server, scope=caller.session_id, target="", nonce=ids.new_id(),
        expires_s=int(now_s()) + ttl_s,
    )
    return UploadLink(
        base_url(request.app[CONFIG], request.remote or "", request.headers), link, caller.session_id,
        has_session=SESSION_HEADER in request.headers,
    )


def announced_url(request: web.Request, caller: Caller, file: AnnouncedUpload, *, ttl_s: int) -> SignedUrl:
    """Build a one-time upload URL for one announced file. Nothing is stored until it is used."""
    target = encode_target(file)
    link = Link(
        purpose="upload", server=caller.server, scope=caller.session_id, target=target, nonce=file.file_id,
        expires_s=int(now_s()) + ttl_s,
    )
    path = f"{request.app[CONFIG].core.upload_path}/{quote(caller.server, safe='')}/announced/{target}"
    return _signed(request, path, link)


def download_url(request: web.Request, record: FileRecord) -> SignedUrl:
    """Build a signed download URL of one file, valid for as long as the file is kept unused."""
    config = request.app[CONFIG]
    kept_s = config.artifacts.ttl_seconds if isinstance(record, ArtifactRecord) else config.uploads.ttl_seconds
    ttl_s = kept_s or config.core.auth.signed_upload_ttl_seconds
    link = Link(
        purpose="download", server=record.server, scope=record.scope, target=record.id, nonce=ids.new_id(),
        expires_s=int(now_s()) + ttl_s,
    )
    path = f"/artifacts/{quote(record.server, safe='')}/{record.scope}/{record.id}/{quote(record.name, safe='')}"
    return _signed(request, path, link)


def _signed(request: web.Request, path: str, link: Link) -> SignedUrl:
    base = base_url(request.app[CONFIG], request.remote or "", request.headers)
    return SignedUrl(f"{base}{path}?{urlencode(request.app[SIGNER].query(link))}", link.expires_s)
