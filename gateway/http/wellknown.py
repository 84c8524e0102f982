"""GET /.well-known/oauth-protected-resource…: OAuth protected resource metadata of each mount (RFC 9728)."""

from functools import partial

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.protected_resource import WELL_KNOWN, metadata
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import GROUPS, Group

GROUP = "well_known"
_encode = msgspec.json.Encoder().encode


def add_metadata_routes(app: web.Application, servers: dict[str, Mount]) -> None:
    """Add the routes of the whole gateway and of each mount, with and without a slash at its end."""
    _add(app, WELL_KNOWN, None)
    for mount in servers.values():
        for path in (mount.server.mount_path, mount.server.mount_path + "/"):
            _add(app, WELL_KNOWN + path, mount)


def _add(app: web.Application, path: str, mount: Mount | None) -> None:
    route = app.router.add_resource(path)
    route.add_route("GET", partial(_document, mount))
    app[GROUPS][route.canonical] = Group(GROUP, mount.server.id if mount is not None else "global")


async def _document(mount: Mount | None, request: web.Request) -> web.StreamResponse:
    config = request.app[CONFIG]
    body = _encode(metadata(config, mount.server if mount is not None else None))
    # Any page may read it: MCP clients in browsers begin here.
    headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return web.Response(body=body, content_type="application/json", headers=headers)
