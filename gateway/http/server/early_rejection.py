"""Early rejection of requests from blocked addresses, which have sent too many wrong credentials.

The main costs of an answer are a request object, a task, the routing, a response and a log line. A flood of wrong
tokens must not cause them, nor fill a disk: a request that is certain to be rejected is answered from its head alone,
counted like any other, and logged together with others of its kind once a second. All other requests pass on to the
handlers, which repeat the same check (`gateway/http/auth.py`).
"""

import asyncio
from collections import Counter
from email.utils import formatdate

import structlog
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.authenticator import AUTHENTICATOR
from longshore.gateway.auth.client_address import client_address
from longshore.gateway.auth.credentials import find_credential
from longshore.gateway.auth.failed_attempts import FAILED_ATTEMPTS
from longshore.gateway.http.edge import ORIGINS
from longshore.gateway.metrics import METRICS
from longshore.gateway.request_context import MCP_GROUP
from longshore.gateway.wire import jsonrpc
from longshore.shared.clock import monotonic_s, now_s
from longshore.shared.errors import Forbidden, RateLimited, Unauthorized

log = structlog.get_logger(__name__)

_METHODS = frozenset({"POST", "GET", "DELETE"})
_LOG_EVERY_S = 1.0


class EarlyRejection:
    """Rejects requests to the mounts of one application, which has to be started."""

    def __init__(self, app: web.Application) -> None:
        core = app[CONFIG].core
        self._own_header, self._proxies, self._metrics = core.auth.header_name, core.trusted_proxies, app[METRICS]
        self._authenticator, self._origins = app[AUTHENTICATOR], app[ORIGINS]
        self._failed_attempts = app[FAILED_ATTEMPTS]
        self._servers = {
            path: server.id for server in app[CONFIG].servers for path in (server.mount_path, server.mount_path + "/")
        }
        self._rejected: Counter[tuple[str, str]] = Counter()     # by server and method, since the last log line
        self._cached_response, self._cached_for = b"", (0, 0)    # by second and wait

    def rejection(self, message: RawRequestMessage, peer: str) -> bytes | None:
        """Return and count the whole answer to a request from a blocked address; None for any other request.

        None also for every unusual request: from pages of browsers, with a query, with two credentials, with
        `Connection: close`.
        """
        started_s, headers = monotonic_s(), message.headers
        server = self._servers.get(message.path)
        if server is None or message.method not in _METHODS or message.should_close or message.upgrade:
            return None
        if "Origin" in headers or "Expect" in headers:
            return None
        try:
            self._origins.check(headers)
            credential = find_credential(headers, self._own_header)
            if credential is not None and not self._authenticator.recently_valid(credential):
                self._failed_attempts.check(client_address(peer, headers, self._proxies))
        except RateLimited as err:
            self._count(message.method, server, err, monotonic_s() - started_s)
            return self._response_to(err)
        except (Forbidden, Unauthorized):
            return None
        return None

    async def log_rejections(self) -> None:
        """Log the rejected requests once a second, until cancelled."""
        try:
            while True:
                await asyncio.sleep(_LOG_EVERY_S)
                self._log()
        finally:
            self._log()

    def _log(self) -> None:
        refused, self._rejected = self._rejected, Counter()
        for (server, method), times in refused.items():
            log.info(
                "requests_refused", route=MCP_GROUP, server=server, status=RateLimited.status,
                reason=RateLimited.reason, method=method, times=times,
            )

    def _count(self, method: str, server: str, err: RateLimited, elapsed_s: float) -> None:
        self._metrics.http_request(
            server=server, method=method, route_group=MCP_GROUP, status=err.status, duration_s=elapsed_s
        )
        self._metrics.rejected(server=server, route_group=MCP_GROUP, reason=err.reason, status=err.status)
        self._rejected[server, method] += 1

    def _response_to(self, err: RateLimited) -> bytes:
        moment_s = int(now_s())
        if self._cached_for != (moment_s, err.retry_after_s):
            body = jsonrpc.error(None, err)
            head = (
                f"HTTP/1.1 {err.status} Too Many Requests\r\nContent-Type: application/json\r\n"
                f"Retry-After: {err.retry_after_s}\r\nContent-Length: {len(body)}\r\n"
                f"Date: {formatdate(moment_s, usegmt=True)}\r\n\r\n"
            )
            self._cached_response, self._cached_for = head.encode("ascii") + body, (moment_s, err.retry_after_s)
        return self._cached_response
