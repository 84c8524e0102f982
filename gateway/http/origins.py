"""Which web pages may speak to us, and under which names: the guard against DNS rebinding, and CORS. Pure.

MCP 2025-11-25 basic/transports §Security Warning: an `Origin` that is not expected is refused with 403.
A page cannot forge its Origin; a client that is no browser sends none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from longshore.shared.config import Config
from longshore.shared.errors import Forbidden

_EXPOSED = (
    "Mcp-Session-Id, WWW-Authenticate, Retry-After, Content-Disposition, ETag, Location, Upload-Offset, Upload-Length, "
    "Upload-Expires, Upload-Metadata, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm"
)
_PREFLIGHT_S = 600


@dataclass(frozen=True, slots=True)
class Origins:
    """The rules of one configuration, prepared once."""

    own: str | None                  # origin of core.public_base_url
    allowed: frozenset[str]          # core.cors.allowed_origins, in force while CORS is on
    any_origin: bool                 # "*" among them
    hosts: frozenset[str] | None     # names that Host may hold; None: any
    cors: bool
    methods: str
    headers: tuple[str, ...]
    credentials: bool

    @classmethod
    def of(cls, config: Config) -> "Origins":
        """The rules of `config`. Host is checked where names are configured or the listener is on loopback:
        a listener on all addresses cannot know its names, and pages of others are kept out by their Origin."""
        core, cors = config.core, config.core.cors
        own = _origin(core.public_base_url) if core.public_base_url else None
        hosts: frozenset[str] | None = None
        if core.allowed_hosts or is_loopback(core.host):
            named = (*core.allowed_hosts, urlsplit(core.public_base_url or "").hostname or "")
            hosts = frozenset(name.lower() for name in named if name)
        listed = frozenset(origin.rstrip("/").lower() for origin in cors.allowed_origins if cors.enabled)
        return cls(
            own=own, allowed=listed - {"*"}, any_origin="*" in listed, hosts=hosts, cors=cors.enabled,
            methods=", ".join(cors.allowed_methods), headers=cors.allowed_headers, credentials=cors.allow_credentials,
        )

    def check(self, headers: Mapping[str, str], *, own_page: bool = False) -> None:
        """Raise Forbidden for a request that a page of another site may have sent; with `own_page`, one that we
        served under this very name may."""
        host = headers.get("Host", "")
        if self.hosts is not None and not self._knows_host(_name(host)):
            raise Forbidden("this Host is not one of ours; add it to core.allowed_hosts or set core.public_base_url")
        origin = headers.get("Origin")
        if origin is None or (own_page and host and origin.lower().partition("://")[2] == host.lower()):
            return
        if not self._knows_origin(origin.lower(), host.lower()):
            raise Forbidden("pages of this Origin may not call; add it to core.cors.allowed_origins")

    def cors_headers(self, origin: str | None) -> dict[str, str]:
        """What an answer to a page of `origin` carries (WHATWG Fetch §CORS protocol); {} where it may not read it."""
        if not self.cors or origin is None or not (self.any_origin or origin.lower() in self.allowed):
            return {}
        headers = {
            "Access-Control-Allow-Origin": "*" if self.any_origin and not self.credentials else origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }
        if self.credentials:
            headers["Access-Control-Allow-Credentials"] = "true"
        return headers

    def preflight(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """The answer to a preflight request; None when it is none, or its page may not call."""
        answer = self.cors_headers(headers.get("Origin"))
        if not answer or "Access-Control-Request-Method" not in headers:
            return None
        # MCP's parameter headers are not known beforehand, so `*` is answered with what was asked for:
        # browsers do not let a literal * cover Authorization.
        asked = headers.get("Access-Control-Request-Headers", "")
        answer["Access-Control-Allow-Headers"] = asked if "*" in self.headers else ", ".join(self.headers)
        answer["Access-Control-Allow-Methods"] = self.methods
        answer["Access-Control-Max-Age"] = str(_PREFLIGHT_S)
        return answer

    def _knows_host(self, name: str) -> bool:
        return self.hosts is not None and (name in self.hosts or is_loopback(name))

    def _knows_origin(self, origin: str, host: str) -> bool:
        if origin == self.own or self.any_origin or origin in self.allowed:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        name = parts.hostname or ""
        # An address cannot be rebound: a page that we served under it may call back.
        return is_loopback(name) or (parts.netloc == host and _is_address(name))


@lru_cache(maxsize=256)
def is_loopback(name: str) -> bool:
    """Whether `name` means this very machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


@lru_cache(maxsize=256)
def _name(host: str) -> str:
    """The name in a Host header, without its port; "" for one that is malformed."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
