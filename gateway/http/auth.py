"""Who sent a request: whoever its credential belongs to, or an address while auth is off."""

from aiohttp import web

from longshore.gateway.appkeys import CONFIG
from longshore.gateway.auth.authenticator import AUTHENTICATOR
from longshore.gateway.auth.client_address import client_address
from longshore.gateway.auth.credentials import offered_credential, refuse_in_query
from longshore.gateway.auth.failed_attempts import FAILED_ATTEMPTS
from longshore.gateway.auth.principal import Principal
from longshore.shared.errors import BadRequest, Forbidden, InvalidToken, Unauthorized, Unavailable


async def authenticate(request: web.Request, server: str | None) -> Principal:
    """The caller, to whom the server of this id is open; None asks for no server in particular.

    Raises Unauthorized when auth is on and the credential is missing or wrong, Forbidden when it is not for this
    server, BadRequest when it is in the URL, RateLimited after too many wrong ones, IssuerDown.
    """
    config = request.app[CONFIG]
    auth = config.core.auth
    if not auth.enabled:
        return Principal(f"anonymous@{address_of(request)}", authenticated=False)
    if request.query_string:
        refuse_in_query(request.query)
    offered = offered_credential(request.headers, auth.header_name)
    if offered is None:
        raise Unauthorized(f"send a token as Authorization: Bearer or in the header {auth.header_name}")
    door, failures, address = request.app[AUTHENTICATOR], request.app[FAILED_ATTEMPTS], address_of(request)
    if not door.recently_valid(offered):  # who is known goes on, whatever comes from the same address
        failures.check(address)
    try:
        principal = await door.authenticate(offered)
        door.check(principal, server)
    except InvalidToken:
        await failures.count(address)
        raise
    return principal


async def authenticated(request: web.Request) -> Principal | None:
    """The caller whose valid credential the request carries; with auth off nobody does."""
    try:
        principal = await authenticate(request, None)
    except (BadRequest, Forbidden, Unauthorized, Unavailable):
        return None
    return principal if principal.authenticated else None


def address_of(request: web.Request) -> str:
    """Where the request came from."""
    return client_address(request.remote or "", request.headers, request.app[CONFIG].core.trusted_proxies)
