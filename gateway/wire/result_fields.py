"""What the stateless revision adds to a result: its type, how long it may be kept, and who made it. Pure.

MCP 2026-07-28 basic §ResultType and server/utilities/caching.
"""

from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.modern import SERVER_INFO_KEY
from longshore.shared.version import running_version

CACHEABLE = frozenset({
    "server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read",
})
_OURS = {"name": "longshore", "version": running_version()}
_PRIVATE = {"ttlMs": 0, "cacheScope": "private"}


def modern_fields(method: str) -> dict[str, Any]:
    """The fields of a result to `method` that is the gateway's own or has something of a caller in it."""
    return {"resultType": "complete", **(_PRIVATE if method in CACHEABLE else {})}


def own_result(method: str, value: dict[str, Any]) -> dict[str, Any]:
    """The result `value` to `method`, which the gateway made all by itself and says so."""
    return {**modern_fields(method), **value, "_meta": {SERVER_INFO_KEY: _OURS, **value.get("_meta", {})}}


def to_modern(result: jsonrpc.RawMap, method: str, server_info: bytes = b"") -> jsonrpc.RawMap:
    """A result of a server of the session era, as one of this revision; `server_info` is what the server said of
    itself, b"" for nothing."""
    kept = {name: jsonrpc.raw(value) for name, value in modern_fields(method).items()} | {
        name: value for name, value in result.items() if name not in _MODERN_FIELDS
    }
    if server_info:
        meta = jsonrpc.open_object(kept.get("_meta", msgspec.Raw(b"{}")))
        kept["_meta"] = jsonrpc.raw({**meta, SERVER_INFO_KEY: msgspec.Raw(server_info)})
    return kept


_MODERN_FIELDS = frozenset({"resultType", *_PRIVATE})


def as_private(result: jsonrpc.RawMap) -> jsonrpc.RawMap:
    """`result` with something of a caller put in: kept by nobody else, and not beyond the next look."""
    return result | {name: jsonrpc.raw(value) for name, value in _PRIVATE.items()}


def discover_result(initialized: jsonrpc.RawMap, *, has_subscriptions: bool) -> dict[str, Any]:
    """The result of `server/discover` for a server whose `initialize` result this is.

    Without tasks, which have no meaning over a bridge, and where nobody `tells` of changes, without subscriptions and
    notices of changed lists.
    """
    found = jsonrpc.open_object(initialized.get("capabilities", jsonrpc.raw({})))
    found.pop("tasks", None)
    for name in ("tools", "prompts", "resources"):
        if name in found and not has_subscriptions:
            flags = jsonrpc.open_object(found[name]).items()
            found[name] = jsonrpc.raw({key: value for key, value in flags if key not in _SUBSCRIPTION_FLAGS})
    said = {**modern_fields("server/discover"), "supportedVersions": ["2026-07-28"], "capabilities": found}
    if "instructions" in initialized:
        said["instructions"] = initialized["instructions"]
    if "serverInfo" in initialized:
        said["_meta"] = {SERVER_INFO_KEY: initialized["serverInfo"]}
    return said


_SUBSCRIPTION_FLAGS = frozenset({"listChanged", "subscribe"})
