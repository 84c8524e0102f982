"""One message on its way upstream, sent again when the upstream had lost its session before it ran."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.mcp.exchange import Exchange
from gateway.mcp.renewal import renew
from gateway.upstream.client import UpstreamAnswer


@asynccontextmanager
async def sent(exchange: Exchange, body: bytes, *, within_s: float | None = None) -> AsyncIterator[UpstreamAnswer]:
    """The upstream's answer to `body`.

    A 404 to a request that named an upstream session says that the session is gone and the request did not
    run (MCP 2025-11-25 basic/transports §Session Management): the session is renewed and the request sent
    again, `sessions.upstream_session_termination_retries` times at most.
    """
    retries = exchange.config.sessions.upstream_session_termination_retries
    for left in range(retries, -1, -1):
        lost = exchange.session.upstream_id
        async with exchange.mounted.client.exchange(
            "POST", exchange.upstream_headers(), body, within_s=within_s
        ) as answer:
            if answer.status != 404 or not lost or not left:
                yield answer
                return
        exchange.use_upstream(await renew(exchange.request, exchange.mounted, exchange.caller, lost=lost))
