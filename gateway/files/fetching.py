"""Fetches files from URLs that clients pass: https only, public addresses only, limited in size and time."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from longshore.gateway.files.public_addresses import is_public
from longshore.gateway.wire.protocol_errors import ToolInputError

_MAX_REDIRECTS = 5
_MAX_CONNECTIONS = 20        # of this gateway; further fetches wait within their timeout
_MAX_URL_CHARS = 8_000
_URL_CHARS = re.compile(r"[\x21-\x7e]+")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REQUEST_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "longshore"}
Write = Callable[[bytes], Awaitable[None]]


class AddressRefused(Exception):
    """Connection to an address that is not allowed. The message does not name the address."""


@dataclass(frozen=True)
class FetchPolicy:
    """Allowed addresses and timeouts of fetches. In production the defaults apply."""

    is_allowed: Callable[[str], bool] = is_public    # decides about an address in text form
    resolver: Callable[[], AbstractResolver] = aiohttp.ThreadedResolver
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    total_s: float = 100.0
    silence_s: float = 20.0


class _Resolver(AbstractResolver):
    """Resolver that refuses a name with a forbidden address. The connection uses the checked addresses, so that DNS
    rebinding has no effect."""

    def __init__(self, guard: FetchPolicy) -> None:
        self._guard = guard
        self._resolver = guard.resolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not all(self._guard.is_allowed(result["host"]) for result in found):
            raise AddressRefused
        return found

    async def close(self) -> None:
        await self._resolver.close()


class Fetcher:
    """HTTP client without cookies, credentials, proxies and shared connections. Needs a running event loop."""

    def __init__(self, guard: FetchPolicy) -> None:
        self._guard = guard
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(guard), use_dns_cache=False, force_close=True, ssl=guard.tls(), limit=_MAX_CONNECTIONS,
            socket_factory=self._socket,
        )
        self._http = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=guard.silence_s, sock_read=guard.silence_s),
        )

    async def close(self) -> None:
        """Close the HTTP session."""
        await self._http.close()

    @property
    def total_s(self) -> float:
        """Time limit in seconds for all files of one call."""
        return self._guard.total_s

    async def fetch(self, url: str, write: Write, *, max_bytes: int, timeout_s: float) -> str:
        """Stream the file at `url` into `write`; returns the media type that the server declares, or "".

        Raises ToolInputError, whose message contains neither the URL nor an address.
        """
        try:
            async with asyncio.timeout(timeout_s), self._get(url) as answer:
                _check_response(answer, max_bytes)
                received = 0
                async for chunk in answer.content.iter_any():
                    received += len(chunk)
                    if received > max_bytes:
                        raise _too_large(max_bytes)
                    await write(chunk)
                return answer.content_type if "Content-Type" in answer.headers else ""
        except AddressRefused:
            raise _refused("leads to an address that is not public") from None
        except TimeoutError:
            raise _refused("leads to a server that is too slow") from None
        except aiohttp.ClientSSLError:
            raise _refused("leads to a server without a valid certificate") from None
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, UnicodeError):
            raise _refused("leads to a server that cannot be reached") from None
        except (aiohttp.ClientError, OSError):
            raise _refused("broke off before the whole file had come") from None

    @asynccontextmanager
    async def _get(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Follow redirects to the response. Each redirect is checked like the URL itself."""
        target = self._parse_url(url)
        for _ in range(_MAX_REDIRECTS + 1):
            async with self._http.get(target, headers=_REQUEST_HEADERS, allow_redirects=False) as answer:
                try:
                    if answer.status not in _REDIRECTS:
                        yield answer
                        return
                    target = self._parse_url(answer.headers.get("Location", ""), base=target)
                finally:
                    _abort(answer)
        raise _refused("is redirected too often")

    def _parse_url(self, url: str, base: URL | None = None) -> URL:
        """Parse and check a URL; its addresses are checked on connect. Raises ToolInputError, AddressRefused."""
        if len(url) > _MAX_URL_CHARS or not _URL_CHARS.fullmatch(url):
            raise _refused("is not a URL")
        try:
            target = URL(url, encoded=True)      # unchanged, since it may be signed
            target = target if base is None else base.join(target)
            host, user, password = target.host, target.user, target.password
        except ValueError:
            raise _refused("is not a URL") from None
        if target.scheme != "https" or not host:
            raise _refused("is not an https URL" if base is None else "is redirected to something else than https")
        if user is not None or password is not None:
            raise _refused("holds a user or password; pass one that needs none")
        if (":" in host or host.replace(".", "").isdigit()) and not self._guard.is_allowed(host):
            raise AddressRefused
        return target

    def _socket(self, info: Any) -> socket.socket:
        """Create the socket of a connection; its address is checked once more."""
        family, kind, protocol, _, address = info
        if not self._guard.is_allowed(str(address[0])):
            raise AddressRefused
        return socket.socket(family, kind, protocol)


def _abort(answer: aiohttp.ClientResponse) -> None:
    """Abort the connection of an unfinished response: closing a TLS connection would take half a minute."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()


def _check_response(answer: aiohttp.ClientResponse, max_bytes: int) -> None:
    if answer.status != 200:
        raise _refused(f"is answered with HTTP status {answer.status}")
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _refused("is answered with a compressed file, though it was asked for as it is")
    if answer.content_length is not None and answer.content_length > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> ToolInputError:
    return _refused(f"leads to more than {max_bytes} bytes, which are the limit (uploads.max_file_bytes)")


def _refused(why: str) -> ToolInputError:
    return ToolInputError(f"a file could not be fetched: its download_url {why}")


FETCHER = web.AppKey("fetcher", Fetcher)
