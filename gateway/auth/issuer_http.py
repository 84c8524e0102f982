"""HTTP client for an authorization server's JSON: limited in size and time, without redirects."""

from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec
import structlog

from longshore.shared.errors import IssuerDown

log = structlog.get_logger(__name__)

_MAX_BYTES = 512 * 1024
_JSON = {"Accept": "application/json"}
_OPTIONS: Any = {"timeout": aiohttp.ClientTimeout(total=5), "allow_redirects": False}
T = TypeVar("T")


async def get_json(http: aiohttp.ClientSession, url: str, kind: type[T]) -> T | None:
    """GET a JSON document; None for 404. Raises IssuerDown."""
    async with _IssuerRequest("GET", url) as request, http.get(url, headers=_JSON, **_OPTIONS) as response:
        return await request.read(response, kind)


async def post_form(
    http: aiohttp.ClientSession, url: str, form: Mapping[str, str], kind: type[T], *, headers: dict[str, str]
) -> T | None:
    """POST a form and return the JSON answer; None for 404. Raises IssuerDown."""
    sending = http.post(url, data=form, headers=_JSON | headers, **_OPTIONS)
    async with _IssuerRequest("POST", url) as request, sending as response:
        return await request.read(response, kind)


class _IssuerRequest:
    """One request, whose failures become IssuerDown. The log holds its URL without the query, never its content."""

    def __init__(self, method: str, url: str) -> None:
        self._method = method
        self._url = url.partition("?")[0]

    async def __aenter__(self) -> "_IssuerRequest":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, err: BaseException | None, _: object) -> None:
        if isinstance(err, aiohttp.ClientError | TimeoutError | OSError):
            raise self.failed(type(err).__name__) from err

    async def read(self, response: aiohttp.ClientResponse, kind: type[T]) -> T | None:
        """Decode the body as a `kind`; None for 404. Raises IssuerDown."""
        if response.status == 404:
            return None
        if response.status != 200:
            raise self.failed(f"status {response.status}")
        body = await response.content.read(_MAX_BYTES + 1)
        while len(body) <= _MAX_BYTES and (more := await response.content.read(_MAX_BYTES + 1 - len(body))):
            body += more
        if len(body) > _MAX_BYTES:
            raise self.failed("too large")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as err:
            raise self.failed("not the JSON it should be") from err

    def failed(self, why: str) -> IssuerDown:
        """Make the error to raise; the reason goes into the log, not to the caller."""
        log.warning("issuer_failed", method=self._method, url=self._url, why=why)
        return IssuerDown("the authorization server cannot be asked about this token now; try again shortly")
