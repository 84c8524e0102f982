"""Policy of file transfer by the client (SEP-2631): the servers and callers that it is offered to."""

from typing import Any

from aiohttp import web

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.client_address import base_url
from longshore.gateway.files import sep_2631
from longshore.gateway.mounts import Mount
from longshore.shared.config.urls import is_encrypted_or_local


def accepts_uploads(request: web.Request, mount: Mount) -> bool:
    """Return True if clients may announce files to this server."""
    return request.app[CONFIG].files.sep_2631 and mount.adapters.accepts_uploads


def offers_downloads(request: web.Request, mount: Mount) -> bool:
    """Return True if clients may fetch files of this server."""
    config = request.app[CONFIG]
    return config.files.sep_2631 and config.core.allow_artifacts_download and mount.adapters.keeps_files


def is_secure(request: web.Request) -> bool:
    """Return True if this caller reaches the gateway by https or locally."""
    return is_encrypted_or_local(base_url(request.app[CONFIG], request.remote or "", request.headers))


def capability(request: web.Request, mount: Mount) -> dict[str, Any]:
    """Build the server capability; empty where the feature is off or the connection is not secure."""
    upload, download = accepts_uploads(request, mount), offers_downloads(request, mount)
    if not (upload or download) or not is_secure(request):
        return {}
    return {sep_2631.CAPABILITY: sep_2631.server_capability(upload=upload, download=download)}
