"""Extraction of the credential from a request's headers. Pure."""

from collections.abc import Iterable

from multidict import MultiMapping

from longshore.shared.errors import BadRequest, Unauthorized

_IN_QUERY = frozenset({"access_token", "token"})


def find_credential(headers: MultiMapping[str], own_header: str) -> str | None:
    """Return the credential in longshore's own header, else the bearer token; None when there is neither.

    Where its own header is sent, `Authorization` is meant for the upstream. Raises Unauthorized for a header that is
    sent twice: a proxy before us may have checked the other one.
    """
    for name in (own_header, "Authorization"):
        lines = headers.getall(name, ())
        if len(lines) > 1:
            raise Unauthorized(f"the header {name} was sent {len(lines)} times; send one credential")
        if lines and name == own_header:
            return _bearer_token(lines[0]) if own_header.lower() == "authorization" else lines[0].strip()
        if lines:
            return _bearer_token(lines[0])
    return None


def _bearer_token(line: str) -> str | None:
    """Return the token of an `Authorization` header; None for another scheme."""
    scheme, _, value = line.partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value.strip() else None


def refuse_in_query(names: Iterable[str]) -> None:
    """Raise BadRequest for a token in the query: proxies and browsers write URLs into their logs
    (MCP 2025-11-25 basic/authorization §Access Token Usage)."""
    if not _IN_QUERY.isdisjoint(name.lower() for name in names):
        raise BadRequest("send tokens in a header, not in the URL; replace this one, because logs may hold it")
