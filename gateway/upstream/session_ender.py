"""Ends upstream sessions whose sessions expired: any gateway takes them from the queue in Redis."""

import asyncio
import contextlib
from collections.abc import Mapping

from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.rpc import end_session
from longshore.shared.config import Server
from longshore.shared.errors import StoreDown
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.tasks import Tasks

_EVERY_S = 1.0
_BATCH = 50


async def end_sessions(
    expiry: ExpiryStore, upstreams: Mapping[str, tuple[Server, UpstreamClient]], tasks: Tasks
) -> None:
    """Send DELETE for queued upstream sessions until cancelled; best effort, with the configured headers only."""
    while True:
        await asyncio.sleep(_EVERY_S)
        with contextlib.suppress(StoreDown):
            for ended in await expiry.take_upstream_ends(_BATCH):
                if ended.server in upstreams:
                    server, client = upstreams[ended.server]
                    headers = dict(server.upstream.static_headers)
                    headers |= {"Mcp-Session-Id": ended.upstream_id, "MCP-Protocol-Version": ended.protocol}
                    tasks.spawn(end_session(client, headers), name="end_upstream_session")
