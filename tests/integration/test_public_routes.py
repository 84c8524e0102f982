"""Routes that need no credential while auth is on: those of this list and no others."""

import re
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.web_urldispatcher import AbstractRoute

from longshore.gateway.app import public_runner
from longshore.shared.metrics import Metrics
from tests.fixtures.gateway import ACCEPT, Backing, entry
from tests.fixtures.upstreams import ScriptedUpstream

# Each public route is one line, with its reason.
_PUBLIC = {
    ("GET", "/healthz"),                                             # shows no addresses without a credential
    ("GET", "/.well-known/oauth-protected-resource"),                # metadata for OAuth clients
    ("GET", "/.well-known/oauth-protected-resource/mcp/files"),
    ("GET", "/.well-known/oauth-protected-resource/mcp/files/"),
    ("OPTIONS", "/upload/{server}"),                                 # tus version and extensions
}
_BY_LINK_ALONE = {("GET", "/upload/{server}"): 400}    # upload page: by signed link alone
# The URL is the secret: a request for an unknown upload learns nothing. Found by the pattern of the path.
_BY_ADDRESS = "/upload/{server}/resumable/{upload}"
_AUTH: dict[str, Any] = {"enabled": True, "token": "of-the-tests", "oauth": {"issuer": "http://127.0.0.1:9"}}
_CORE = {"auth": _AUTH, "public_base_url": "http://files.test", "allow_artifacts_download": True}
_VALUES = {"server": "files", "session": "A" * 32, "artifact": "B" * 22, "upload": "C" * 32}
_TUS = {
    "Content-Type": "application/offset+octet-stream", "Tus-Resumable": "1.0.0", "Upload-Offset": "0",
    "X-HTTP-Method-Override": "PATCH",
}


async def test_no_other_route_answers_without_a_credential(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """A signed link authorizes uploads and downloads: none is sent here."""
    runner = public_runner(shared_backing.config(entry(upstream.url), core=_CORE), Metrics())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        routes = {_name(route): _path(route) for route in runner.app.router.routes()}
        async with aiohttp.ClientSession(base, headers={"Accept": f"{ACCEPT['Accept']}, text/html"}) as http:
            statuses = {name: await _status(http, name, path) for name, path in routes.items()}
    finally:
        await runner.cleanup()

    mounts = {(method, path) for method in ("POST", "GET", "DELETE") for path in ("/mcp/files", "/mcp/files/")}
    assert mounts | {("POST", "/upload/{server}")} <= routes.keys()
    guarded = {name: status for name, status in statuses.items() if name not in _PUBLIC}
    refused = {name: 404 if name[1] == _BY_ADDRESS else 401 for name in guarded}
    assert guarded == refused | _BY_LINK_ALONE
    assert {name for name, status in statuses.items() if status in (200, 204, 503)} == _PUBLIC


async def _status(http: aiohttp.ClientSession, route: tuple[str, str], path: str) -> int:
    """Status of a request that lacks nothing but its credential."""
    method, pattern = route
    form = {"Content-Type": "multipart/form-data; boundary=b" if method == "POST" else "application/json"}
    headers = _TUS if pattern == _BY_ADDRESS else form
    body = b"{}" if method in ("POST", "PUT", "PATCH") else None
    async with http.request(method, path, data=body, headers=headers) as answer:
        return answer.status


def _name(route: AbstractRoute) -> tuple[str, str]:
    assert route.resource is not None
    return route.method, route.resource.canonical


def _path(route: AbstractRoute) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: _VALUES.get(found[1], "x.txt"), _name(route)[1])
