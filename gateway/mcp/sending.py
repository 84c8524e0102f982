"""One message on its way upstream, sent again when the upstream had lost its session before it ran."""

from types import TracebackType

from gateway.mcp.exchange import Exchange
from gateway.mcp.renewal import renew
from gateway.upstream.client import UpstreamAnswer, UpstreamExchange


class sent:  # noqa: N801  (used like a function: `async with sent(…) as answer`)
    """The upstream's answer to `body`.

    A 404 to a request that named an upstream session says that the session is gone and the request did not
    run (MCP 2025-11-25 basic/transports §Session Management): the session is renewed and the request sent
    again, `sessions.upstream_session_termination_retries` times at most.
    """

    def __init__(self, exchange: Exchange, body: bytes, *, within_s: float | None = None) -> None:
        self._exchange = exchange
        self._body = body
        self._within_s = within_s
        self._running: UpstreamExchange | None = None

    async def __aenter__(self) -> UpstreamAnswer:
        exchange = self._exchange
        left = exchange.config.sessions.upstream_session_termination_retries
        while True:
            lost = exchange.session.upstream_id
            running = exchange.mounted.client.exchange(
                "POST", exchange.upstream_headers(), self._body, within_s=self._within_s
            )
            answer = await running.__aenter__()
            if answer.status != 404 or not lost or not left:
                self._running = running
                return answer
            await running.__aexit__(None, None, None)
            left -= 1
            exchange.use_upstream(await renew(exchange.request, exchange.mounted, exchange.caller, lost=lost))

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            await self._running.__aexit__(kind, err, trace)
