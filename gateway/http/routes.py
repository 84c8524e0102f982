"""Routes of the public port: the handler of each path, and its group in logs and metrics."""

from functools import partial

from aiohttp import web

from longshore.gateway.http import health
from longshore.gateway.http.downloads import artifacts
from longshore.gateway.http.uploads import announced, form, resumable
from longshore.gateway.http.uploads.incoming import defer_continue
from longshore.gateway.http.wellknown import add_metadata_routes
from longshore.gateway.mcp import endpoint
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import GROUPS, MCP_GROUP, Group
from longshore.shared.config import Config


def add_routes(app: web.Application, config: Config, servers: dict[str, Mount]) -> None:
    """Add every public route. A mount is served with and without a slash at its end, never by a redirect."""
    groups = app[GROUPS] = {}
    health_route = app.router.add_resource("/healthz")
    health_route.add_route("GET", health.healthz)
    groups[health_route.canonical] = Group("health")
    _add_upload_routes(app, config)
    if config.core.allow_artifacts_download:
        artifact = app.router.add_resource("/artifacts/{server}/{session}/{artifact}/{name}")
        for method in ("GET", "HEAD"):
            artifact.add_route(method, artifacts.download)
        groups[artifact.canonical] = Group("download")
    if config.core.auth.enabled and config.core.auth.oauth.issuer is not None:
        add_metadata_routes(app, servers)
    for mount in servers.values():
        for path in (mount.server.mount_path, mount.server.mount_path + "/"):
            resource = app.router.add_resource(path)
            resource.add_route("POST", partial(endpoint.post, mount))
            resource.add_route("GET", partial(endpoint.get, mount))
            resource.add_route("DELETE", partial(endpoint.delete, mount))
            groups[resource.canonical] = Group(MCP_GROUP, mount.server.id)


def _add_upload_routes(app: web.Application, config: Config) -> None:
    groups, path = app[GROUPS], config.core.upload_path + "/{server}"
    upload = app.router.add_resource(path)
    upload.add_route("POST", form.post, expect_handler=defer_continue)
    upload.add_route("PUT", form.put, expect_handler=defer_continue)
    upload.add_route("GET", form.get)
    upload.add_route("OPTIONS", resumable.options)
    groups[upload.canonical] = Group("upload")
    for last in ("/", "/{filename}"):
        named = app.router.add_resource(path + last)
        named.add_route("PUT", form.put, expect_handler=defer_continue)
        groups[named.canonical] = Group("upload")
    if config.files.sep_2631:
        file = app.router.add_resource(path + "/announced/{file}")
        file.add_route("PUT", announced.put, expect_handler=defer_continue)
        groups[file.canonical] = Group("upload")
    if config.uploads.resumable:
        part = app.router.add_resource(path + "/resumable/{upload}")
        part.add_route("PATCH", resumable.patch, expect_handler=defer_continue)
        part.add_route("POST", resumable.method_override, expect_handler=defer_continue)
        part.add_route("HEAD", resumable.head)
        part.add_route("GET", resumable.status)
        part.add_route("DELETE", resumable.terminate)
        groups[part.canonical] = Group("upload")
