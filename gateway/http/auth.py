"""Who sent a request: whoever its credential belongs to, or an address while auth is off."""

from aiohttp import web

from gateway.access.credentials import offered_credential, refuse_in_query
from gateway.access.principal import Principal
from gateway.addresses import client_address
from gateway.appkeys import CONFIG, DOOR
from shared.errors import BadRequest, Forbidden, Unauthorized


async def authenticate(request: web.Request, server: str) -> Principal:
    """The caller, to whom the server of id `server` is open. Raises BadRequest, Forbidden, Unauthorized."""
    principal = await identify(request)
    principal.check_server(server)
    return principal


async def identify(request: web.Request) -> Principal:
    """The caller. Raises Unauthorized when auth is on and the credential is missing or wrong, BadRequest for one
    in the URL."""
    config = request.app[CONFIG]
    auth = config.core.auth
    if not auth.enabled:
        return Principal(f"anonymous@{address_of(request)}", authenticated=False)
    if request.query_string:
        refuse_in_query(request.query)
    offered = offered_credential(request.headers, auth.header_name)
    if offered is None:
        raise Unauthorized(f"send the token in the header {auth.header_name} or as Authorization: Bearer")
    return await request.app[DOOR].identify(offered)


async def authenticated(request: web.Request) -> Principal | None:
    """The caller whose valid credential the request carries; with auth off nobody does."""
    try:
        principal = await identify(request)
    except (BadRequest, Forbidden, Unauthorized):
        return None
    return principal if principal.authenticated else None


def address_of(request: web.Request) -> str:
    """Where the request came from."""
    return client_address(request.remote or "", request.headers, request.app[CONFIG].core.trusted_proxies)
