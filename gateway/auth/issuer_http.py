"""JSON from an authorization server: small, soon or not at all, from where it was asked and nowhere else."""

from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec
import structlog

from longshore.shared.errors import IssuerDown

log = structlog.get_logger(__name__)

_MOST_BYTES = 512 * 1024
_JSON = {"Accept": "application/json"}
_HOW: Any = {"timeout": aiohttp.ClientTimeout(total=5), "allow_redirects": False}
T = TypeVar("T")


async def get_json(http: aiohttp.ClientSession, url: str, kind: type[T]) -> T | None:
    """What is at `url`; None where there is nothing. Raises IssuerDown."""
    async with _Asking("GET", url) as asking, http.get(url, headers=_JSON, **_HOW) as answer:
        return await asking.read(answer, kind)


async def post_form(
    http: aiohttp.ClientSession, url: str, form: Mapping[str, str], kind: type[T], *, headers: dict[str, str]
) -> T | None:
    """The answer to a form. Raises IssuerDown."""
    async with _Asking("POST", url) as asking, http.post(url, data=form, headers=_JSON | headers, **_HOW) as answer:
        return await asking.read(answer, kind)


class _Asking:
    """One question, whose failures are the issuer's. Says where it was asked, never what."""

    def __init__(self, method: str, url: str) -> None:
        self._method = method
        self._url = url.partition("?")[0]

    async def __aenter__(self) -> "_Asking":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, err: BaseException | None, _: object) -> None:
        if isinstance(err, aiohttp.ClientError | TimeoutError | OSError):
            raise self.failed(type(err).__name__) from err

    async def read(self, answer: aiohttp.ClientResponse, kind: type[T]) -> T | None:
        """The body as a `kind`; None for 404. Raises IssuerDown."""
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self.failed(f"status {answer.status}")
        body = await answer.content.read(_MOST_BYTES + 1)
        while len(body) <= _MOST_BYTES and (more := await answer.content.read(_MOST_BYTES + 1 - len(body))):
            body += more
        if len(body) > _MOST_BYTES:
            raise self.failed("too large")
        try:
            return msgspec.json.decode(body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as err:
            raise self.failed("not the JSON it should be") from err

    def failed(self, why: str) -> IssuerDown:
        """What to raise; the operator finds in the log what the caller is not told."""
        log.warning("issuer_failed", method=self._method, url=self._url, why=why)
        return IssuerDown("the authorization server cannot be asked about this token now; try again shortly")
