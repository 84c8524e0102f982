"""HTTP client for an authorization server's JSON: limited in size and time, without redirects."""

from collections.abc import Mapping
from typing import TypeVar

import aiohttp
import msgspec
import structlog

from longshore.shared.errors import IssuerDown

log = structlog.get_logger(__name__)

_MAX_BYTES = 512 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=5)
T = TypeVar("T")


class _UnusableAnswer(Exception):
    """Says why an answer cannot be used."""


async def request_json(
    http: aiohttp.ClientSession, url: str, kind: type[T], *, form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> T | None:
    """GET a JSON document, or POST a form that is answered with one; None for 404. Raises IssuerDown.

    The log holds the URL without its query and the reason of a failure; the caller learns neither.
    """
    method = "GET" if form is None else "POST"
    sent_headers = {"Accept": "application/json", **(headers or {})}
    try:
        async with http.request(
            method, url, data=form, headers=sent_headers, timeout=_TIMEOUT, allow_redirects=False
        ) as response:
            return None if response.status == 404 else await _decode(response, kind)
    except (aiohttp.ClientError, TimeoutError, OSError, _UnusableAnswer) as err:
        why = str(err) if isinstance(err, _UnusableAnswer) else type(err).__name__
        log.warning("issuer_failed", method=method, url=url.partition("?")[0], why=why)
        raise IssuerDown(
            "the authorization server does not answer as it should; try again shortly"
        ) from err


async def _decode(response: aiohttp.ClientResponse, kind: type[T]) -> T:
    if response.status != 200:
        raise _UnusableAnswer(f"status {response.status}")
    body = b""
    while chunk := await response.content.read(_MAX_BYTES + 1 - len(body)):
        body += chunk
    if len(body) > _MAX_BYTES:
        raise _UnusableAnswer("too large")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise _UnusableAnswer("not the JSON it should be") from err
