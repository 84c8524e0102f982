"""GET /.well-known/oauth-protected-resource…: OAuth protected resource metadata of each mount (RFC 9728)."""

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.protected_resource import metadata
from longshore.gateway.mounts import Mount

_encode = msgspec.json.Encoder().encode


async def protected_resource(mount: Mount | None, request: web.Request) -> web.StreamResponse:
    """Answer with the metadata of a mount; None: of the whole gateway."""
    body = _encode(metadata(request.app[CONFIG], mount.server if mount is not None else None))
    # Any page may read it: MCP clients in browsers begin here.
    headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return web.Response(body=body, content_type="application/json", headers=headers)
