"""Authentication of HTTP requests: the principal of the credential, or of the client's address while auth is off."""

from aiohttp import web

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.authenticator import AUTHENTICATOR
from longshore.gateway.auth.client_address import client_address
from longshore.gateway.auth.credentials import find_credential, refuse_in_query
from longshore.gateway.auth.failed_attempts import FAILED_ATTEMPTS
from longshore.gateway.auth.principal import Principal
from longshore.shared.errors import BadRequest, Forbidden, InvalidToken, Unauthorized, Unavailable


async def authenticate(request: web.Request, server: str | None) -> Principal:
    """Find the request's principal and check that it may use the server of this id; None: any server will do.

    Raises Unauthorized for a missing or wrong credential, Forbidden for one that is not for this server, BadRequest
    for one in the URL, RateLimited after too many wrong ones from the same address, IssuerDown.
    """
    config = request.app[CONFIG]
    auth = config.core.auth
    if not auth.enabled:
        return Principal(f"anonymous@{address_of(request)}", authenticated=False)
    if request.query_string:
        refuse_in_query(request.query)
    credential = find_credential(request.headers, auth.header_name)
    if credential is None:
        raise Unauthorized(f"send a token as Authorization: Bearer or in the header {auth.header_name}")
    authenticator, attempts = request.app[AUTHENTICATOR], request.app[FAILED_ATTEMPTS]
    address = address_of(request)
    if not authenticator.recently_valid(credential):  # a known credential passes, even from a blocked address
        attempts.check(address)
    try:
        principal = await authenticator.authenticate(credential)
        authenticator.check(principal, server)
    except InvalidToken:
        await attempts.record_failure(address)
        raise
    return principal


async def try_authenticate(request: web.Request) -> Principal | None:
    """Find the principal of a valid credential; None without one, and while auth is off."""
    try:
        principal = await authenticate(request, None)
    except (BadRequest, Forbidden, Unauthorized, Unavailable):
        return None
    return principal if principal.authenticated else None


def address_of(request: web.Request) -> str:
    """Return the client's address, as the trusted proxies report it."""
    return client_address(request.remote or "", request.headers, request.app[CONFIG].core.trusted_proxies)
