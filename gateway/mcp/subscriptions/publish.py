"""Publication of an upstream's change notifications, after kept lists are dropped."""

from dataclasses import dataclass

from aiohttp import web

from longshore.gateway.appkeys import PUBLISHER, SESSIONS
from longshore.gateway.mcp.list_cache import LIST_CACHE
from longshore.gateway.mounts import Mount
from longshore.gateway.wire import changes
from longshore.shared.messaging.pubsub import LISTS_CHANGED, Event
from longshore.shared.state.feeds import CHANGE
from longshore.shared.state.sessions import Caller

MAX_EVENT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class UpstreamContext:
    """Context of an upstream's stream: whose request headers open it, and whose session it serves."""

    request: web.Request         # of a subscriber: its headers are what the upstream admits
    mount: Mount
    caller: Caller               # owner of the session or scope


async def publish(upstream: UpstreamContext, data: bytes) -> bool:
    """Publish the change that a message notifies of. Returns False for any other message. Raises StoreDown."""
    change = changes.parse_change(data)
    if change is None:
        return False
    app, scope = upstream.request.app, upstream.caller.session_id
    if change.method != changes.UPDATED and app[LIST_CACHE].is_on:
        await app[SESSIONS].count_list_change(scope)
        await app[PUBLISHER].publish(Event(LISTS_CHANGED, "", upstream.mount.server.id.encode()))
    await app[PUBLISHER].publish(Event(CHANGE, scope, change.data))
    return True
