"""Routes of the public port: the handler of each path, and its group in logs and metrics."""

from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from longshore.gateway.auth.protected_resource import WELL_KNOWN
from longshore.gateway.http import health
from longshore.gateway.http.downloads import artifacts
from longshore.gateway.http.uploads import announced, form, resumable
from longshore.gateway.http.uploads.incoming import defer_continue
from longshore.gateway.http.wellknown import protected_resource
from longshore.gateway.mcp import endpoint
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import GROUPS, MCP_GROUP, Group
from longshore.shared.config import Config

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


def add_routes(app: web.Application, config: Config, servers: dict[str, Mount]) -> None:
    """Add every public route. A mount is served with and without a slash at its end, never by a redirect."""
    app[GROUPS] = {}
    _add(app, "/healthz", Group("health"), {"GET": health.healthz})
    _add_upload_routes(app, config)
    if config.core.allow_artifacts_download:
        path = "/artifacts/{server}/{session}/{artifact}/{name}"
        _add(app, path, Group("download"), {"GET": artifacts.download, "HEAD": artifacts.download})
    has_oauth = config.core.auth.enabled and config.core.auth.oauth.issuer is not None
    if has_oauth:
        _add(app, WELL_KNOWN, Group("well_known"), {"GET": partial(protected_resource, None)})
    for mount in servers.values():
        for path in (mount.server.mount_path, mount.server.mount_path + "/"):
            if has_oauth:
                handler = partial(protected_resource, mount)
                _add(app, WELL_KNOWN + path, Group("well_known", mount.server.id), {"GET": handler})
            _add(app, path, Group(MCP_GROUP, mount.server.id), {
                "POST": partial(endpoint.post, mount), "GET": partial(endpoint.get, mount),
                "DELETE": partial(endpoint.delete, mount),
            })


def _add_upload_routes(app: web.Application, config: Config) -> None:
    group, path = Group("upload"), config.core.upload_path + "/{server}"
    _add(app, path, group, {"POST": form.post, "PUT": form.put, "GET": form.get, "OPTIONS": resumable.options})
    for end in ("/", "/{filename}"):
        _add(app, path + end, group, {"PUT": form.put})
    if config.files.sep_2631:
        _add(app, path + "/announced/{file}", group, {"PUT": announced.put})
    if config.uploads.resumable:
        _add(app, path + "/resumable/{upload}", group, {
            "PATCH": resumable.patch, "POST": resumable.method_override, "HEAD": resumable.head,
            "GET": resumable.status, "DELETE": resumable.terminate,
        })


def _add(app: web.Application, path: str, group: Group, handlers: dict[str, Handler]) -> None:
    """Add one path. Handlers of uploads answer `Expect: 100-continue` themselves, after their checks."""
    resource = app.router.add_resource(path)
    for method, handler in handlers.items():
        defers = group.name == "upload" and method in _BODY_METHODS
        resource.add_route(method, handler, expect_handler=defer_continue if defers else None)
    app[GROUPS][resource.canonical] = group
