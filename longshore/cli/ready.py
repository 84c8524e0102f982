"""Whether addresses are free before the start, and when the gateway answers after it."""

import asyncio
import errno
import http.client
import socket

import msgspec

from longshore.cli.errors import StartFailed
from longshore.shared.clock import monotonic_s

_PAUSE_S = 0.02
_ANSWER_S = 2.0
_SETTLE_S = 5.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  compared, not bound


class Health(msgspec.Struct, frozen=True):
    """The part of `/healthz` that a start needs to know."""

    status: str
    degraded_reason: str | None = None


def reachable_host(host: str) -> str:
    """Where this machine reaches what listens on `host`."""
    return _WILDCARDS.get(host, host)


def base_url(host: str, port: int) -> str:
    """The gateway's address on this machine."""
    reachable = reachable_host(host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def require_free(host: str, port: int, *, hint: str) -> None:
    """Raise StartFailed, ending in `hint`, unless `port` can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as err:
            why = "is in use" if err.errno == errno.EADDRINUSE else f"cannot be used ({err.strerror})"
            raise StartFailed(f"port {port} on {host} {why}; {hint}") from err


async def until_answering(host: str, port: int, *, patience_s: float) -> Health:
    """Wait until the gateway answers, and then a little for `ok`; returns what it reported last.

    It begins to answer when its upstreams do or when it has waited long enough for them, and is `ok` when a
    worker is there too. Raises StartFailed when it does not answer within `patience_s`.
    """
    give_up_s = monotonic_s() + patience_s
    health: Health | None = None
    while health is None or health.status != "ok":
        if monotonic_s() > give_up_s:
            break
        await asyncio.sleep(_PAUSE_S)
        answer = await asyncio.to_thread(_ask, reachable_host(host), port)
        if answer is not None and health is None:
            give_up_s = monotonic_s() + _SETTLE_S
        health = answer or health
    if health is None:
        raise StartFailed(f"the gateway did not answer on {host}:{port} within {patience_s:.0f} s")
    return health


def _ask(host: str, port: int) -> Health | None:
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        return msgspec.json.decode(connection.getresponse().read(), type=Health)
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
