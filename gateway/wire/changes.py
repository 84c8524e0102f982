"""Change notifications of both eras: `list_changed` and `resources/updated`, filters and subscriptions. Pure.

MCP 2025-11-25 server/resources §List Changed Notification and §Subscriptions; MCP 2026-07-28 basic/patterns/
subscriptions.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, result_fields, sse
from longshore.gateway.wire.envelope import MessageId
from longshore.gateway.wire.modern import SUBSCRIPTION_KEY
from longshore.gateway.wire.protocol_errors import InvalidParams

TOOLS = "notifications/tools/list_changed"
PROMPTS = "notifications/prompts/list_changed"
RESOURCES = "notifications/resources/list_changed"
UPDATED = "notifications/resources/updated"
OWN_RESOURCES = b'{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}'
OWN_RESOURCES_EVENT = sse.event(OWN_RESOURCES)
_LISTS = {"toolsListChanged": TOOLS, "promptsListChanged": PROMPTS, "resourcesListChanged": RESOURCES}
_MAX_URIS = 1_000
_MAX_BYTES = 64 * 1024       # of a notification that is forwarded unchanged; a larger one is reduced to method and URI


class _Params(msgspec.Struct):
    uri: Any = ""


class _Message(msgspec.Struct):
    method: Any = None
    id: Any = msgspec.UNSET
    params: _Params | None = None


class _Filter(msgspec.Struct):
    uris: list[str] = msgspec.field(default_factory=list, name="resourceSubscriptions")
    tools: bool | None = msgspec.field(default=None, name="toolsListChanged")
    prompts: bool | None = msgspec.field(default=None, name="promptsListChanged")
    resources: bool | None = msgspec.field(default=None, name="resourcesListChanged")


class _Listen(msgspec.Struct):
    notifications: _Filter


class _Request(msgspec.Struct):
    params: _Listen


_messages = msgspec.json.Decoder(_Message)
_requests = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True)
class Change:
    """Change notification."""

    method: str
    uri: str                 # of the updated resource, "" for a list
    data: bytes              # the whole message


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Filter of a subscription: the change notifications that a subscriber receives."""

    lists: frozenset[str]    # methods of `list_changed` notifications
    uris: frozenset[str] = frozenset()
    any_uri: bool = False    # updates of every resource

    def accepts(self, change: Change) -> bool:
        """True if the filter matches. A server may notify of a sub-resource of the subscribed URI."""
        if change.method != UPDATED:
            return change.method in self.lists
        return self.any_uri or change.uri in self.uris or any(
            change.uri[:end] in self.uris or change.uri[:end + 1] in self.uris
            for end, char in enumerate(change.uri) if char in "/?#"
        )

    def all_changes(self) -> list[Change]:
        """Build every notification that the filter accepts, for a subscriber that may have missed some."""
        lists = [Change(method, "", _plain(method)) for method in sorted(self.lists)]
        return lists + [Change(UPDATED, uri, _plain(UPDATED, uri)) for uri in sorted(self.uris)]


OWN_CHANGE = Change(RESOURCES, "", OWN_RESOURCES)     # longshore's own resources changed


def parse_change(data: bytes) -> Change | None:
    """Parse a change notification; None for any other message."""
    if b"list_changed" not in data and b"resources\\/" not in data and b"resources/updated" not in data:
        return None
    try:
        message = _messages.decode(data)
    except jsonrpc.UNREADABLE:
        return None
    if message.id is not msgspec.UNSET:
        return None
    if message.method in _LISTS.values():
        return Change(message.method, "", data if len(data) <= _MAX_BYTES else _plain(message.method))
    uri = message.params.uri if message.params is not None else None
    if message.method != UPDATED or not isinstance(uri, str) or not 0 < len(uri) <= _MAX_BYTES:
        return None
    return Change(UPDATED, uri, data if len(data) <= 2 * _MAX_BYTES else _plain(UPDATED, uri))


def resource_updated(uri: str) -> bytes:
    """Build the notification that a resource was updated."""
    return _plain(UPDATED, uri)


def parse_filter(body: bytes) -> ChangeFilter:
    """Parse the filter of a `subscriptions/listen` request. Raises InvalidParams."""
    try:
        found = _requests.decode(body).params.notifications
    except jsonrpc.UNREADABLE:
        raise InvalidParams("params.notifications must say which notifications are wanted") from None
    if len(found.uris) > _MAX_URIS:
        raise InvalidParams(f"one listener names {_MAX_URIS} resources at most")
    flags = {TOOLS: found.tools, PROMPTS: found.prompts, RESOURCES: found.resources}
    return ChangeFilter(frozenset(method for method, is_on in flags.items() if is_on), frozenset(found.uris))


def encode_filter(accepted: ChangeFilter) -> dict[str, Any]:
    """Encode a filter as `notifications` of a `subscriptions/listen` request."""
    encoded: dict[str, Any] = {name: True for name, method in _LISTS.items() if method in accepted.lists}
    if accepted.uris:
        encoded["resourceSubscriptions"] = sorted(accepted.uris)
    return encoded


def acknowledgement(listen_id: MessageId, honoured: ChangeFilter) -> bytes:
    """Build the first message of a `subscriptions/listen` stream, with the filter that is honoured."""
    params = {"_meta": {SUBSCRIPTION_KEY: listen_id}, "notifications": encode_filter(honoured)}
    return jsonrpc.notification(_ACKNOWLEDGED, params)


def with_resources_acknowledged(data: bytes) -> bytes | None:
    """Add the list of resources to the filter in a server's acknowledgement; None for any other message."""
    if b"acknowledged" not in data:
        return None
    message = jsonrpc.open_object(data)
    if msgspec.json.decode(message.get("method", _NULL)) != _ACKNOWLEDGED:
        return None
    params = jsonrpc.open_object(message.get("params", _EMPTY))
    honoured = jsonrpc.open_object(params.get("notifications", _EMPTY))
    params["notifications"] = jsonrpc.raw(honoured | {"resourcesListChanged": jsonrpc.raw(True)})
    message["params"] = jsonrpc.raw(params)
    return jsonrpc.close_object(message)


def end_of_stream(listen_id: MessageId) -> bytes:
    """Build the result that ends a `subscriptions/listen` stream."""
    end = result_fields.own_result("subscriptions/listen", {"_meta": {SUBSCRIPTION_KEY: listen_id}})
    return jsonrpc.result(listen_id, end)


def to_modern(change: Change, listen_id: MessageId) -> bytes:
    """Convert a notification for a modern subscriber: adds the subscription id."""
    return _with_meta(change.data, {SUBSCRIPTION_KEY: jsonrpc.raw(listen_id)})


def to_legacy(change: Change) -> bytes:
    """Convert a notification for a legacy client: removes the subscription id."""
    return _with_meta(change.data, {})


def _with_meta(data: bytes, more: jsonrpc.RawMap) -> bytes:
    message = jsonrpc.open_object(data)
    params = jsonrpc.open_object(message.get("params", _EMPTY))
    meta = jsonrpc.open_object(params.pop("_meta", _EMPTY))
    meta.pop(SUBSCRIPTION_KEY, None)
    meta |= more
    if meta:
        params["_meta"] = jsonrpc.raw(meta)
    if params:
        message["params"] = jsonrpc.raw(params)
    else:
        message.pop("params", None)
    return jsonrpc.close_object(message)


_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_EMPTY = msgspec.Raw(b"{}")
_NULL = msgspec.Raw(b"null")


def _plain(method: str, uri: str = "") -> bytes:
    return jsonrpc.notification(method, {"uri": uri} if uri else None)
