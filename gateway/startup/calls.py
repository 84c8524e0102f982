"""Start-up of the registers of calls that wait for input from their clients."""

from collections.abc import AsyncIterator

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, EVENT_LISTENER, KEYS, MAILBOXES, REDIS, TASKS
from longshore.gateway.mcp.call_files.retry_state import RETRY_SEALER
from longshore.gateway.mcp.input_requests.standing_streams import STANDING_STREAMS, StandingStreams
from longshore.gateway.mcp.input_requests.suspended_calls import SUSPENDED_CALLS, SuspendedCalls
from longshore.gateway.mcp.sessions.end_watcher import SESSION_ENDS
from longshore.gateway.mcp.subscriptions.feeds import FEEDS
from longshore.gateway.metrics import METRICS
from longshore.gateway.startup.redis import signing_secrets
from longshore.shared.crypto.sealed_tokens import Sealer
from longshore.shared.ids import new_id
from longshore.shared.messaging.message_stream import MessageStream


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
