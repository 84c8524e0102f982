"""Notifications of changes, as each era has them: lists that changed, resources that were updated. Pure.

MCP 2025-11-25 server/resources §List Changed Notification, MCP 2026-07-28 basic/patterns/subscriptions.
"""

from gateway.wire import sse

RESOURCES_CHANGED = "notifications/resources/list_changed"
OWN_RESOURCES = b'{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}'
OWN_RESOURCES_EVENT = sse.event(OWN_RESOURCES)
