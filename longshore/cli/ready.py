"""Checks that ports are free before a start, and waits until the gateway is healthy after it."""

import asyncio
import errno
import http.client
import socket

import msgspec

from longshore.cli.errors import StartFailed
from longshore.shared.clock import monotonic_s

_POLL_INTERVAL_S = 0.02
_REQUEST_TIMEOUT_S = 2.0
_OK_TIMEOUT_S = 5.0
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  compared, not bound


class Health(msgspec.Struct, frozen=True):
    """Part of the `/healthz` response that a start uses."""

    status: str
    degraded_reason: str | None = None


def reachable_host(host: str) -> str:
    """Host by which this machine reaches a server that listens on `host`."""
    return _WILDCARDS.get(host, host)


def base_url(host: str, port: int) -> str:
    """URL of a server on this machine."""
    reachable = reachable_host(host)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def require_free(host: str, port: int, *, hint: str) -> None:
    """Raise StartFailed with `hint` if `port` cannot be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as err:
            why = "is in use" if err.errno == errno.EADDRINUSE else f"cannot be used ({err.strerror})"
            raise StartFailed(f"port {port} on {host} {why}; {hint}") from err


async def wait_until_healthy(host: str, port: int, *, timeout_s: float) -> Health:
    """Wait until the gateway answers, and then a few seconds for the status `ok`. Returns its last answer.

    It answers once its upstreams do, or once it has waited long enough for them, and is `ok` once a worker runs. Raises
    StartFailed if it does not answer within `timeout_s`.
    """
    deadline_s = monotonic_s() + timeout_s
    health: Health | None = None
    while health is None or health.status != "ok":
        if monotonic_s() > deadline_s:
            break
        await asyncio.sleep(_POLL_INTERVAL_S)
        answer = await asyncio.to_thread(_get_health, reachable_host(host), port)
        if answer is not None and health is None:
            deadline_s = monotonic_s() + _OK_TIMEOUT_S
        health = answer or health
    if health is None:
        raise StartFailed(f"the gateway did not answer on {host}:{port} within {timeout_s:.0f} s")
    return health


def _get_health(host: str, port: int) -> Health | None:
    connection = http.client.HTTPConnection(host, port, timeout=_REQUEST_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return msgspec.json.decode(connection.getresponse().read(), type=Health)
    except (OSError, http.client.HTTPException, msgspec.DecodeError):
        return None
    finally:
        connection.close()
