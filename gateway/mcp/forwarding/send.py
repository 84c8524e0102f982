"""One message on its way upstream, sent again when the upstream had lost its session before it ran."""

import asyncio
from contextlib import suppress
from types import TracebackType

from longshore.gateway.appkeys import TASKS
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding import mirrored_headers
from longshore.gateway.mcp.forwarding.cancellations import CANCELLATIONS
from longshore.gateway.mcp.methods.legacy_session_requests import to_modern_request
from longshore.gateway.mcp.sessions.renewal import renew
from longshore.gateway.upstream.client import UpstreamExchange, UpstreamResponse
from longshore.gateway.upstream.rpc import notify
from longshore.gateway.wire import lost_sessions
from longshore.shared.errors import LongshoreError, UpstreamTimeout

_AT_ONCE_S = 0.05


class sent:  # noqa: N801  (used like a function: `async with sent(…) as answer`)
    """The upstream's answer to the request `body`, whose last byte must come `within_s` of its being sent.

    When that time runs out, client and upstream both learn of it.

    A 404 to a request that named an upstream session says that the session is gone and the request did not
    run (MCP 2025-11-25 basic/transports §Session Management), and so does a tool's error that says it in
    words: the session is renewed and the request sent again,
    `sessions.upstream_session_termination_retries` times at most. A call whose headers do not fit what the server's
    tools want by now is sent once more with others.
    """

    def __init__(self, exchange: Exchange, body: bytes, *, within_s: float | None) -> None:
        self._exchange = exchange
        self._body = body
        self._within_s = within_s
        self._running: UpstreamExchange | None = None
        self._cancellable: UpstreamExchange | None = None

    async def __aenter__(self) -> UpstreamResponse:
        exchange = self._exchange
        left, has_learned = exchange.config.sessions.upstream_session_termination_retries, False
        while True:
            lost = exchange.session.upstream_id
            answer = await self._ask()
            if not has_learned and await self._has_learned(answer):
                has_learned = True
                await self._leave()
                continue
            if not lost or not left or not await self._is_lost(answer):
                return answer
            await self._leave()
            left -= 1
            exchange.use_upstream(await renew(exchange.request, exchange.mount, exchange.holder, lost=lost))

    async def _ask(self) -> UpstreamResponse:
        exchange = self._exchange
        headers, body = (
            await to_modern_request(exchange, self._body) if exchange.is_restated
            else (exchange.upstream_headers(), self._body)
        )
        running = exchange.mount.client.exchange(
            "POST", headers, body, timeout_s=self._within_s,
            is_long_lived=exchange.envelope.method == "subscriptions/listen",
        )
        if exchange.stateless is not None:
            exchange.stateless.run(running)
        if exchange.is_restated:
            self._cancellable = running
            exchange.request.app[CANCELLATIONS].begin(exchange.caller.session_id, exchange.asked_id, running)
        try:
            answer = await running.__aenter__()
        except UpstreamTimeout:
            self._forget()
            _cancel_upstream(exchange)
            raise
        except LongshoreError:
            self._forget()
            raise
        except asyncio.CancelledError:
            self._forget()
            if _is_cancelled_by_leaving(exchange):
                _cancel_upstream(exchange, "the client went away")
            raise
        self._running = running
        return answer

    async def _leave(self) -> None:
        """Without taking the answer: the request is sent again."""
        self._forget()
        running, self._running = self._running, None
        if running is not None:
            await running.__aexit__(None, None, None)

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        if self._running is not None:
            await self._running.__aexit__(kind, err, trace)
            # It ran out on the way, or on an open stream, which was told so there.
            if isinstance(err, UpstreamTimeout) or self._exchange.context.reason == UpstreamTimeout.reason:
                _cancel_upstream(self._exchange)
            elif isinstance(err, (asyncio.CancelledError, ConnectionError)) and _is_cancelled_by_leaving(
                self._exchange
            ):
                _cancel_upstream(self._exchange, "the client went away")

    def _forget(self) -> None:
        if self._cancellable is not None:
            exchange = self._exchange
            exchange.request.app[CANCELLATIONS].end(
                exchange.caller.session_id, exchange.asked_id, self._cancellable
            )
            self._cancellable = None

    async def _has_learned(self, answer: UpstreamResponse) -> bool:
        """Whether the call is to be sent once more, with other headers."""
        if answer.status != 400:
            return False
        try:
            return await mirrored_headers.retry_after_mismatch(self._exchange, answer, self._body)
        except BaseException as err:
            await self.__aexit__(type(err), err, None)
            raise

    async def _is_lost(self, answer: UpstreamResponse) -> bool:
        if answer.status == 404:
            return True
        if answer.status != 200 or self._exchange.envelope.method != "tools/call":
            return False
        # A server that refuses does so at once; one that works is waited for no longer than that takes.
        try:
            return lost_sessions.is_lost_session(await answer.peek_body(_AT_ONCE_S))
        except BaseException as err:
            await self.__aexit__(type(err), err, None)
            raise


def _is_cancelled_by_leaving(exchange: Exchange) -> bool:
    """A client of the stateless revision cancels by closing its connection (MCP 2026-07-28 basic/patterns/
    cancellation); an upstream of that revision sees the same of ours."""
    return exchange.stateless is not None and exchange.stateless.is_translated


def _cancel_upstream(exchange: Exchange, reason: str = "timed out") -> None:
    """Tell the upstream to stop (MCP 2025-11-25 basic/utilities/cancellation); nobody waits for it."""
    if exchange.is_restated or (exchange.stateless is not None and not exchange.stateless.is_translated):
        return                               # leaving its stream is all that the stateless revision has
    client, headers = exchange.mount.client, exchange.upstream_headers()
    params = {"requestId": exchange.asked_id, "reason": reason}

    async def cancel() -> None:
        with suppress(LongshoreError):  # it did not answer before, either
            await notify(client, headers, "notifications/cancelled", params)

    exchange.request.app[TASKS].spawn(cancel(), name="cancel_upstream")
