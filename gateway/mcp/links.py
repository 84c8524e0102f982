"""Signed links to this gateway, as this caller can reach it."""

from urllib.parse import quote, urlencode

from aiohttp import web

from gateway.addresses import base_url
from gateway.appkeys import CONFIG, SIGNER
from gateway.mcp.exchange import SESSION_HEADER
from gateway.tools.own import UploadLink
from shared import ids
from shared.clock import now_s
from shared.records import ArtifactRecord
from shared.signing import Link
from shared.state.sessions import Caller


def upload_link(request: web.Request, caller: Caller, *, ttl_s: int) -> UploadLink:
    """A one-time upload link of the caller's session. Nothing is stored until it is used."""
    link = Link(
        purpose="upload", server=caller.server, scope=caller.session_id, target="", nonce=ids.new_id(),
        expires_s=int(now_s()) + ttl_s,
    )
    return UploadLink(
        base_url(request.app[CONFIG], request.remote or "", request.headers), link, caller.session_id,
        has_session=SESSION_HEADER in request.headers,
    )


def download_url(request: web.Request, record: ArtifactRecord) -> str:
    """A signed link to one artifact, good for as long as the artifact is kept unused."""
    config = request.app[CONFIG]
    ttl_s = config.artifacts.ttl_seconds or config.core.auth.signed_upload_ttl_seconds
    link = Link(
        purpose="download", server=record.server, scope=record.scope, target=record.id, nonce=ids.new_id(),
        expires_s=int(now_s()) + ttl_s,
    )
    base = base_url(config, request.remote or "", request.headers)
    path = f"/artifacts/{quote(record.server, safe='')}/{record.scope}/{record.id}/{quote(record.name, safe='')}"
    return f"{base}{path}?{urlencode(request.app[SIGNER].query(link))}"
