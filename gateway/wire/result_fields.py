"""Fields that the modern revision adds to a result: `resultType`, caching, and `serverInfo` in `_meta`. Pure.

MCP 2026-07-28 basic §ResultType and server/utilities/caching.
"""

from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.modern import SERVER_INFO_KEY, VERSION
from longshore.shared.version import OWN_INFO

CACHEABLE = frozenset({
    "server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read",
})
_PRIVATE = {"ttlMs": 0, "cacheScope": "private"}


def modern_fields(method: str) -> dict[str, Any]:
    """Build the fields of a result to `method`; a cacheable one is marked as private and never fresh."""
    return {"resultType": "complete", **(_PRIVATE if method in CACHEABLE else {})}


def own_result(method: str, value: dict[str, Any]) -> dict[str, Any]:
    """Build the result `value` to `method` as one of the gateway's own, with its `serverInfo`."""
    return {**modern_fields(method), **value, "_meta": {SERVER_INFO_KEY: OWN_INFO, **value.get("_meta", {})}}


def to_modern(result: jsonrpc.RawMap, method: str, server_info: bytes = b"") -> jsonrpc.RawMap:
    """Convert the result of a legacy server; `server_info` is its `serverInfo` as JSON, b"" for none."""
    kept = {name: jsonrpc.raw(value) for name, value in modern_fields(method).items()} | {
        name: value for name, value in result.items() if name not in _MODERN_FIELDS
    }
    if server_info:
        meta = jsonrpc.open_object(kept.get("_meta", msgspec.Raw(b"{}")))
        kept["_meta"] = jsonrpc.raw({**meta, SERVER_INFO_KEY: msgspec.Raw(server_info)})
    return kept


_MODERN_FIELDS = frozenset({"resultType", *_PRIVATE})


def as_private(result: jsonrpc.RawMap) -> jsonrpc.RawMap:
    """Mark a result that holds something of one caller as private and not to be cached."""
    return result | {name: jsonrpc.raw(value) for name, value in _PRIVATE.items()}


def discover_result(initialized: jsonrpc.RawMap, *, has_subscriptions: bool) -> dict[str, Any]:
    """Convert the `initialize` result of a legacy server into a `server/discover` result.

    The tasks capability is removed, since tasks do not work across eras. Without `has_subscriptions`, so are
    subscriptions and notifications of changed lists.
    """
    found = jsonrpc.open_object(initialized.get("capabilities", jsonrpc.raw({})))
    found.pop("tasks", None)
    for name in ("tools", "prompts", "resources"):
        if name in found and not has_subscriptions:
            flags = jsonrpc.open_object(found[name]).items()
            found[name] = jsonrpc.raw({key: value for key, value in flags if key not in _SUBSCRIPTION_FLAGS})
    result = {**modern_fields("server/discover"), "supportedVersions": [VERSION], "capabilities": found}
    if "instructions" in initialized:
        result["instructions"] = initialized["instructions"]
    if "serverInfo" in initialized:
        result["_meta"] = {SERVER_INFO_KEY: initialized["serverInfo"]}
    return result


_SUBSCRIPTION_FLAGS = frozenset({"listChanged", "subscribe"})
