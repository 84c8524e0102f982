"""Connects to one upstream: DNS, happy eyeballs (RFC 8305), TCP keep-alive, TLS."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

import aiohappyeyeballs
from yarl import URL

from longshore.gateway.upstream.connection import Connection
from longshore.shared.errors import UpstreamDown, UpstreamTimeout

_CONNECT_S = 10.0            # for DNS, TCP and TLS together
_NEXT_ADDRESS_S = 0.25       # RFC 8305 §5: delay before the next address is tried

# TCP keep-alive: a peer that vanished is detected after two minutes, on standing streams too.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


@dataclass(frozen=True, slots=True)
class Origin:
    """Address of one upstream, prepared for requests."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    target: bytes            # path and query of the request line
    authority: bytes         # for the Host header
    authorization: str       # Basic credentials of the URL, "" if it has none

    @classmethod
    def of(cls, url: str, *, verify: bool) -> "Origin":
        """Parse an http or https URL. Without `verify` any certificate is accepted."""
        parsed = URL(url, encoded=url.isascii())
        host = parsed.raw_host or ""
        tls = _tls(verify=verify) if parsed.scheme == "https" else None
        authorization = ""
        if parsed.user is not None:
            pair = f"{parsed.user}:{parsed.password or ''}"
            authorization = f"Basic {b64encode(pair.encode()).decode()}"
        return cls(
            host, parsed.port or 80, tls, parsed.raw_path_qs.encode("ascii", "ignore"),
            (parsed.host_port_subcomponent or host).encode("idna" if not host.isascii() else "ascii"), authorization,
        )


def _tls(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(origin: Origin, on_lost: Callable[[Connection], None]) -> Connection:
    """Open a connection. Raises UpstreamDown if it is refused, UpstreamTimeout if it takes too long."""
    loop = asyncio.get_running_loop()
    sock: socket.socket | None = None
    try:
        async with asyncio.timeout(_CONNECT_S):
            found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S)
            _prepare(sock)
            _, connection = await loop.create_connection(
                lambda: Connection(on_lost), sock=sock, ssl=origin.tls,
                server_hostname=origin.host if origin.tls is not None else None,
            )
            sock = None    # now owned by the transport
            return connection
    except TimeoutError as err:
        raise UpstreamTimeout("the upstream server does not accept connections; try again later") from err
    except ssl.SSLCertVerificationError as err:
        raise UpstreamDown(f"the upstream server's certificate is not valid: {err.verify_message}") from err
    except (OSError, RuntimeError, UnicodeError) as err:  # uvloop raises RuntimeError where others raise OSError
        raise UpstreamDown("the upstream server cannot be reached; try again later") from err
    finally:
        if sock is not None:
            sock.close()


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
