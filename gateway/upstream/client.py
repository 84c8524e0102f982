"""HTTP to one upstream: pooled keep-alive connections, answers that stream, nothing followed or decoded."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType

import aiohttp
from yarl import URL

from shared.config import Server
from shared.errors import UpstreamDown, UpstreamTimeout

_MAX_CONNECTIONS = 256
_CONNECT_S = 10.0
_MAX_ANSWER_BYTES = 64 * 1024 * 1024   # of an answer that has to be read whole

_SHORT_BYTES = 256 * 1024


class UpstreamAnswer:
    """One answer whose head has arrived. Leave its `async with` to give the connection back."""

    def __init__(self, response: aiohttp.ClientResponse, deadline_s: float | None) -> None:
        self._response = response
        self._deadline_s = deadline_s    # by the loop's clock
        self.status = response.status
        self.content_type = response.content_type
        self.session_id = response.headers.get("Mcp-Session-Id", "")
        self.allow = response.headers.get("Allow", "")

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of server-sent events."""
        return self.content_type == "text/event-stream"

    @property
    def media_type(self) -> str:
        """The `Content-Type` as the upstream gave it."""
        return self._response.headers.get("Content-Type", "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises UpstreamDown when it breaks off, UpstreamTimeout past the deadline."""
        content = self._response.content
        try:
            while True:
                if self._deadline_s is None:
                    chunk = await content.readany()
                else:
                    async with asyncio.timeout_at(self._deadline_s):
                        chunk = await content.readany()
                if not chunk:
                    return
                yield chunk
        except TimeoutError as err:
            raise _too_slow() from err
        except aiohttp.ClientError as err:
            raise UpstreamDown("the upstream server broke off its answer") from err

    async def read_short(self) -> bytes | None:
        """The whole body when its declared length is small, else None (nothing is read then)."""
        length = self._response.content_length
        if length is None or length > _SHORT_BYTES:
            return None
        return await self.read(_SHORT_BYTES)

    async def read(self, limit_bytes: int = _MAX_ANSWER_BYTES) -> bytes:
        """The whole body. Raises UpstreamDown above `limit_bytes` or when it breaks off."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit_bytes:
                raise UpstreamDown(f"the upstream server's answer is larger than {limit_bytes} bytes")
            parts.append(chunk)
        return b"".join(parts)


def _too_slow() -> UpstreamTimeout:
    return UpstreamTimeout("the upstream server did not answer within the time that is configured for the call")


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request to the upstream."""

    method: str
    headers: Mapping[str, str]
    body: bytes | None
    within_s: float | None


class _Exchange:
    """`async with` over one request: opens it, and ends it however the block is left."""

    def __init__(self, client: "UpstreamClient", request: "UpstreamRequest") -> None:
        self._client = client
        self._request = request
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> UpstreamAnswer:
        deadline_s = None
        if self._request.within_s is None:
            self._response = await self._client.open(self._request)
        else:
            deadline_s = asyncio.get_running_loop().time() + self._request.within_s
            try:
                async with asyncio.timeout_at(deadline_s):
                    self._response = await self._client.open(self._request)
            except TimeoutError as err:
                raise _too_slow() from err
        return UpstreamAnswer(self._response, deadline_s)

    async def __aexit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._response is not None:
            # Gives the connection back when the body was read to its end, and closes it otherwise.
            self._response.close() if kind is not None else self._response.release()


class UpstreamClient:
    """Everything sent to one server goes through here. Built at start-up, closed at shutdown."""

    def __init__(self, server: Server) -> None:
        self._url = URL(server.upstream.url, encoded=True)
        self._verify = not server.upstream.insecure_tls
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        """The connection pool, made on first use: a gateway that fails to start has none to leave behind."""
        if self._session is None:
            self._session = self._pool()
        return self._session

    def _pool(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, limit_per_host=_MAX_CONNECTIONS, ssl=self._verify, ttl_dns_cache=30
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            read_bufsize=256 * 1024,
        )

    def exchange(
        self, method: str, headers: Mapping[str, str], body: bytes | None = None, *, within_s: float | None = None
    ) -> _Exchange:
        """Send one request; `async with` yields its UpstreamAnswer once the head is there.

        `within_s` is for the whole answer, its last byte included; None is without end.
        """
        return _Exchange(self, UpstreamRequest(method, headers, body, within_s))

    async def open(self, request: UpstreamRequest) -> aiohttp.ClientResponse:
        """The response, head only. Raises UpstreamDown or UpstreamTimeout."""
        try:
            return await self._opened().request(
                request.method, self._url, headers=request.headers, data=request.body, allow_redirects=False
            )
        except aiohttp.ServerTimeoutError as err:
            raise UpstreamTimeout("the upstream server does not accept connections; try again later") from err
        except aiohttp.ClientError as err:
            raise UpstreamDown("the upstream server cannot be reached; try again later") from err

    async def close(self) -> None:
        """Close every connection."""
        if self._session is None:
            return
        await self._session.close()
        await asyncio.sleep(0)  # lets the transports finish closing before the loop ends
