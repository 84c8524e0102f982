"""GET /healthz: readiness of this gateway, with the reasons when it is degraded."""

from typing import Any

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import CONFIG, KEYS, REDIS, WORKERS
from longshore.gateway.http.auth import try_authenticate
from longshore.gateway.mounts import SERVERS, STARTUP, Mount
from longshore.gateway.request_context import context_of
from longshore.shared.config import Config
from longshore.shared.errors import StoreDown, Unavailable
from longshore.shared.state.reconciliation import last_pass

_encode = msgspec.json.Encoder().encode


async def healthz(request: web.Request) -> web.StreamResponse:
    """Answer 200 with `status: ok`, or 503 with `degraded` and the reasons.

    Upstream addresses are shown only to principals that may use the server. An unreachable upstream or a missing
    worker degrades this answer alone: all other requests are served as far as possible.
    """
    context_of(request).server = "global"
    app, config = request.app, request.app[CONFIG]
    redis, workers = await _redis(request)
    principal = await try_authenticate(request)
    servers = [
        _server(mount, detailed=principal is not None and principal.may_use(mount.server.id))
        for mount in app[SERVERS].values()
    ]
    reasons = _reasons(app[SERVERS], redis=redis, workers=workers)
    body: dict[str, Any] = {
        "status": "degraded" if reasons else "ok",
        "degraded_reason": "; ".join(reasons) or None,
        "servers": servers,
        "persistence": _persistence(config, redis),
        "workers": {"live": workers},
        "adapter_wiring": {"ready": all(mount.monitor.adapters_ready for mount in app[SERVERS].values())},
        "startup": {"waited_for_upstreams_s": round(app[STARTUP].waited_s, 2), "complete": app[STARTUP].complete},
        "startup_reconciliation": await _reconciliation(request, redis=redis),
    }
    return web.Response(body=_encode(body), status=503 if reasons else 200, content_type="application/json")


async def _redis(request: web.Request) -> tuple[bool, int]:
    try:
        return True, await request.app[WORKERS].count_live()
    except StoreDown:
        return request.app[REDIS].is_open, 0


async def _reconciliation(request: web.Request, *, redis: bool) -> dict[str, Any]:
    """Progress of the reconciliation of files that have no records, with its counts once it is done."""
    app = request.app
    mode = app[CONFIG].state_persistence.reconciliation.mode
    if mode == "disabled":
        return {"status": "disabled"}
    if not redis:
        return {"status": "unknown", "mode": mode}
    try:
        last = await last_pass(app[REDIS], app[KEYS])
    except Unavailable:
        return {"status": "unknown", "mode": mode}
    if last is None:
        return {"status": "pending", "mode": mode}
    if not last.finished_ms:
        return {"status": "running", "mode": mode, "begun_ms": last.begun_ms}
    return {"status": "done", "mode": mode, **msgspec.structs.asdict(last)}


def _reasons(servers: dict[str, Mount], *, redis: bool, workers: int) -> list[str]:
    if not redis:
        return ["state store unavailable"]
    reasons = [] if workers else ["no storage worker is alive"]
    down = [mount.server.id for mount in servers.values() if mount.monitor.readiness == "unreachable"]
    waiting = [mount.server.id for mount in servers.values() if mount.monitor.readiness == "starting"]
    if down:
        reasons.append(f"upstream unreachable: {', '.join(down)}")
    if waiting:
        reasons.append(f"upstream not yet answered: {', '.join(waiting)}")
    return reasons


def _persistence(config: Config, redis: bool) -> dict[str, Any]:
    return {
        "status": "ok" if redis else "unavailable",
        "configured_type": config.state_persistence.type,
        "effective_type": "redis",
        "fallback_active": False,
    }


def _server(mount: Mount, *, detailed: bool) -> dict[str, Any]:
    monitor = mount.monitor
    entry: dict[str, Any] = {
        "server_id": mount.server.id,
        "mount_path": mount.server.mount_path,
        "status": "ok" if monitor.readiness in ("ready", "waits_for_caller") else "degraded",
        "breaker": {"state": "closed"},
        "detail": {
            "ready": "ready", "starting": "not yet answered", "unreachable": "unreachable",
            "waits_for_caller": "waits for the headers of a first caller",
        }[monitor.readiness],
    }
    if monitor.missing_tools:
        entry["missing_tools"] = monitor.missing_tools
    if detailed:
        entry["upstream_url"] = mount.server.upstream.url
        entry["upstream_detail"] = monitor.detail
    return entry
