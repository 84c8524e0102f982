"""Checks of `Origin` and `Host` against DNS rebinding, and CORS headers. Pure.

MCP 2025-11-25 basic/transports §Security Warning: an unexpected `Origin` is refused with 403.
A page cannot forge its Origin; a client that is no browser sends none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from longshore.gateway.auth.client_address import is_address
from longshore.shared.config import Config
from longshore.shared.errors import Forbidden

_EXPOSED_HEADERS = (
    "Mcp-Session-Id, WWW-Authenticate, Retry-After, Content-Disposition, ETag, Location, Upload-Offset, Upload-Length, "
    "Upload-Expires, Upload-Metadata, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm"
)
_PREFLIGHT_MAX_AGE_S = 600


@dataclass(frozen=True, slots=True)
class Origins:
    """Rules of one configuration. Built once at start-up."""

    own: str | None                  # origin of core.public_base_url
    allowed: frozenset[str]          # core.cors.allowed_origins, in force while CORS is on
    any_origin: bool                 # "*" is among them
    hosts: frozenset[str] | None     # accepted names in `Host`; None: any
    cors: bool
    methods: str
    headers: tuple[str, ...]
    credentials: bool

    @classmethod
    def of(cls, config: Config) -> "Origins":
        """Build the rules of `config`. `Host` is checked where names are configured or the listener is on loopback:
        a listener on all addresses cannot know its names, and foreign pages are refused by their Origin."""
        core, cors = config.core, config.core.cors
        own = _origin(core.public_base_url) if core.public_base_url else None
        hosts: frozenset[str] | None = None
        if core.allowed_hosts or is_loopback(core.host):
            names = (*core.allowed_hosts, urlsplit(core.public_base_url or "").hostname or "")
            hosts = frozenset(name.lower() for name in names if name)
        listed = frozenset(origin.rstrip("/").lower() for origin in cors.allowed_origins if cors.enabled)
        return cls(
            own=own, allowed=listed - {"*"}, any_origin="*" in listed, hosts=hosts, cors=cors.enabled,
            methods=", ".join(cors.allowed_methods), headers=cors.allowed_headers, credentials=cors.allow_credentials,
        )

    def check(self, headers: Mapping[str, str], *, own_page: bool = False) -> None:
        """Raise Forbidden for a request that a page of another site may have sent. With `own_page`, a page that this
        gateway served under the request's own `Host` is accepted."""
        host = headers.get("Host", "")
        if self.hosts is not None and not self._is_allowed_host(_name(host)):
            raise Forbidden("this Host is not allowed; add it to core.allowed_hosts or set core.public_base_url")
        origin = headers.get("Origin")
        if origin is None or (own_page and host and origin.lower().partition("://")[2] == host.lower()):
            return
        if not self._is_allowed_origin(origin.lower(), host.lower()):
            raise Forbidden("this Origin is not allowed; add it to core.cors.allowed_origins")

    def cors_headers(self, origin: str | None) -> dict[str, str]:
        """Return the CORS headers of a response to a page of `origin` (WHATWG Fetch §CORS protocol); {} for a page
        that may not read it."""
        if not self.cors or origin is None or not (self.any_origin or origin.lower() in self.allowed):
            return {}
        headers = {
            "Access-Control-Allow-Origin": "*" if self.any_origin and not self.credentials else origin,
            "Access-Control-Expose-Headers": _EXPOSED_HEADERS,
            "Vary": "Origin",
        }
        if self.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """Return the headers of the answer to a preflight request; None for any other, and for a page not allowed."""
        answer = self.cors_headers(headers.get("Origin"))
        if not answer or "Access-Control-Request-Method" not in headers:
            return None
        # The names of MCP's parameter headers are not known beforehand, so `*` is answered with the requested ones:
        # in browsers a literal * does not cover Authorization.
        requested = headers.get("Access-Control-Request-Headers", "")
        answer["Access-Control-Allow-Headers"] = requested if "*" in self.headers else ", ".join(self.headers)
        answer["Access-Control-Allow-Methods"] = self.methods
        answer["Access-Control-Max-Age"] = str(_PREFLIGHT_MAX_AGE_S)
        return answer

    def _is_allowed_host(self, name: str) -> bool:
        return self.hosts is not None and (name in self.hosts or is_loopback(name))

    def _is_allowed_origin(self, origin: str, host: str) -> bool:
        if origin == self.own or self.any_origin or origin in self.allowed:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        name = parts.hostname or ""
        # DNS rebinding needs a name: a page that was served under an address may call that address.
        return is_loopback(name) or (parts.netloc == host and is_address(name))


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Return True for a name or an address of this machine alone."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


@lru_cache(maxsize=256)
def _name(host: str) -> str:
    """Return the name in a Host header, without its port; "" for a malformed one."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
