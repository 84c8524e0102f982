"""Start-up of messaging between gateways, and of the calls that wait for messages from their clients."""

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
from longshore.gateway.mcp.call_files.retry_state import RETRY_SEALER
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.mcp.input_requests.standing_streams import STANDING_STREAMS, StandingStreams
from longshore.gateway.mcp.input_requests.suspended_calls import SUSPENDED_CALLS, SuspendedCalls
from longshore.gateway.mcp.list_cache import LIST_CACHE
from longshore.gateway.mcp.sessions.end_watcher import SESSION_ENDS, SessionEndWatcher
from longshore.gateway.mcp.subscriptions.feeds import FEEDS, Feeds
from longshore.gateway.metrics import METRICS
from longshore.gateway.startup.redis import signing_secrets
from longshore.shared.crypto.sealed_tokens import Sealer
from longshore.shared.ids import new_id
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.messaging.message_stream import MessageStream
from longshore.shared.messaging.pubsub import CANCELLED, LISTS_CHANGED, Event, EventListener, Publisher
from longshore.shared.redis.address import configured_address
from longshore.shared.state.feeds import FeedStore


async def messaging(app: web.Application) -> AsyncIterator[None]:
    """Mailboxes, publisher and listener of events, and the feeds that read upstreams' change streams."""
    address, link, keys, tasks = configured_address(app[CONFIG]), app[REDIS], app[KEYS], app[TASKS]
    mailboxes = app[MAILBOXES] = Mailboxes(address, link, keys, tasks)
    publisher = app[PUBLISHER] = Publisher(link, keys)
    listener = app[EVENT_LISTENER] = EventListener(address, keys, tasks, on_broadcast=partial(_on_broadcast, app))
    app[SESSION_ENDS] = SessionEndWatcher(listener, app[SESSIONS], tasks)
    store = app[FEED_STORE] = FeedStore(link, keys, new_id())
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


async def suspended_calls(app: web.Application) -> AsyncIterator[None]:
    """Suspended calls, which end before any resource that they use, and the sealers of their states."""
    secrets = await signing_secrets(app)
    app[RETRY_SEALER] = Sealer(secrets, "files of a call")
    calls = app[SUSPENDED_CALLS] = SuspendedCalls(
        app[MAILBOXES], MessageStream(app[REDIS], app[KEYS], app[TASKS], new_id()), Sealer(secrets, "request state"),
        app[SESSION_ENDS], app[TASKS], app[CONFIG].sessions,
    )
    app[METRICS].watch_waiting_calls(lambda: calls.count)
    streams = app[STANDING_STREAMS] = StandingStreams(app[FEEDS], app[EVENT_LISTENER], app[TASKS])
    yield
    await calls.close()
    streams.close()
