"""Start-up of messaging between gateways: mailboxes, change events and upstream feeds."""

from collections.abc import AsyncIterator
from functools import partial

from aiohttp import web

from longshore.gateway.appkeys import (
    CONFIG,
    EVENT_LISTENER,
    FEED_STORE,
    KEYS,
    MAILBOXES,
    PUBLISHER,
    REDIS,
    SESSIONS,
    TASKS,
)
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.mcp.list_cache import LIST_CACHE
from longshore.gateway.mcp.sessions.end_watcher import SESSION_ENDS, SessionEndWatcher
from longshore.gateway.mcp.subscriptions.feeds import FEEDS, Feeds
from longshore.shared.ids import new_id
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.messaging.pubsub import CANCELLED, LISTS_CHANGED, Event, EventListener, Publisher
from longshore.shared.redis.address import configured_address
from longshore.shared.redis.scripts import Scripts
from longshore.shared.state.feeds import FeedStore


async def messaging(app: web.Application) -> AsyncIterator[None]:
    """Mailboxes, publisher and listener of events, and the feeds that read upstreams' change streams."""
    address, link, keys, tasks = configured_address(app[CONFIG]), app[REDIS], app[KEYS], app[TASKS]
    mailboxes = app[MAILBOXES] = Mailboxes(address, link, keys, tasks)
    publisher = app[PUBLISHER] = Publisher(link, keys)
    listener = app[EVENT_LISTENER] = EventListener(address, keys, tasks, on_broadcast=partial(_on_broadcast, app))
    app[SESSION_ENDS] = SessionEndWatcher(listener, app[SESSIONS], tasks)
    store = app[FEED_STORE] = FeedStore(Scripts(link), link, keys, new_id())
    feeds = app[FEEDS] = Feeds(store, listener, publisher, tasks)
    tasks.spawn(feeds.run_heartbeat(), name="feed_heartbeat")
    yield
    await feeds.close()
    await listener.close()
    await mailboxes.close()


def _on_broadcast(app: web.Application, event: Event) -> None:
    """Handle an event that is published to every gateway."""
    if event.kind == LISTS_CHANGED:
        app[LIST_CACHE].forget_server(event.data.decode())
    elif event.kind == CANCELLED:
        app[CANCELLATIONS].on_event(event)
