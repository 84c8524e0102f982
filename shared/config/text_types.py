"""Value types of text: names, paths and addresses, each validated and normalised. Pure."""

import os.path
import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from longshore.shared.config.value_types import InvalidValue, ScalarType

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # surrogates: bytes of the environment that are not UTF-8

# Headers that each hop or the protocol sets itself (RFC 9110 §7.6.1; MCP basic/transports/streamable-http).
RESERVED_HEADERS = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect",
        "host", "keep-alive", "last-event-id", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name",
        "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    }
)


@dataclass(frozen=True, kw_only=True)
class Text(ScalarType):
    """Text on one line."""

    pattern: ClassVar[re.Pattern[str] | None] = None  # for the whole text
    mismatch: ClassVar[str] = ""                      # message for text that does not match it
    blank: bool = False                               # blank text is accepted: as null in a nullable key
    trim: bool = True
    label: str = "text"

    @property
    def expected(self) -> str:
        return self.label if self.blank else f"{self.label}, not blank"

    def means_null(self, text: str) -> bool:
        return self.blank and not text.strip()

    def read(self, text: str) -> str:
        if not self.blank and not text.strip():
            raise InvalidValue("blank")
        if _CONTROL.search(text) is not None:
            raise InvalidValue("it holds a line break or another control character")
        value = self.normalise(text.strip() if self.trim else text)
        if self.pattern is not None and self.pattern.fullmatch(value) is None:
            raise InvalidValue(self.mismatch)
        return value

    def normalise(self, text: str) -> str:
        """`text`, which has no control characters, in the form that is stored. Raises InvalidValue."""
        return text


@dataclass(frozen=True, kw_only=True)
class Credential(Text):
    """Secret that a caller sends in a header: kept exactly as written."""

    blank: bool = True
    trim: bool = False
    label: str = "text in printable ASCII without blanks around it"

    def normalise(self, text: str) -> str:
        if not text.isascii() or text != text.strip():
            raise InvalidValue("no HTTP header could carry it")
        return text


@dataclass(frozen=True, kw_only=True)
class Sha256(Text):
    """SHA-256 in hexadecimal, stored in lower case."""

    pattern = re.compile(r"[0-9a-f]{64}")
    mismatch = "not 64 hexadecimal digits"
    blank: bool = True
    label: str = "a SHA-256 in 64 hexadecimal digits"

    def normalise(self, text: str) -> str:
        return text.lower()


@dataclass(frozen=True, kw_only=True)
class PrincipalName(Text):
    """Name of a principal. Names of principals that are not configured contain `#` or `@`, so they never collide."""

    pattern = re.compile(r"[A-Za-z0-9._-]{1,64}")
    mismatch = "it holds other characters, or more than 64"
    label: str = "letters, digits and . _ -"


@dataclass(frozen=True, kw_only=True)
class OAuthScope(Text):
    """One scope of an access token (RFC 6749 §3.3)."""

    pattern = re.compile(r"[!#-\[\]-~]+")
    mismatch = "no scope can have these characters"
    label: str = "one scope, without blanks or quotes"


@dataclass(frozen=True, kw_only=True)
class HeaderName(Text):
    """Name of an HTTP header (RFC 9110 §5.6.2 token)."""

    pattern = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
    mismatch = "not the name of an HTTP header"
    label: str = "the name of an HTTP header"
    any_header: bool = False  # headers that the protocol sets itself are accepted too

    def normalise(self, text: str) -> str:
        if not self.any_header and text.lower() in RESERVED_HEADERS:
            raise InvalidValue("the protocol sets this header itself")
        return text


@dataclass(frozen=True, kw_only=True)
class UriScheme(Text):
    """URI scheme with `://`, stored in lower case."""

    pattern = re.compile(r"[a-z][a-z0-9+.-]*://")
    mismatch = "not a URI scheme that ends with ://"
    label: str = "a URI scheme that ends with ://"

    def normalise(self, text: str) -> str:
        return text.lower()


@dataclass(frozen=True, kw_only=True)
class UrlPath(Text):
    """Path of a URL of longshore, stored with a leading slash and without a trailing one."""

    pattern = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+")
    mismatch = "not a plain URL path"
    label: str = "a URL path other than /"

    def normalise(self, text: str) -> str:
        path = "/" + text.strip("/")
        if path == "/":
            raise InvalidValue("the root cannot be used")
        return path


@dataclass(frozen=True, kw_only=True)
class ServerId(Text):
    """Id of a server: one segment of the upload and download URLs."""

    pattern = re.compile(r"(?!\.{1,2}\Z)[^/\\]+")
    mismatch = "it could not be one segment of a URL"
    label: str = "text without slashes"


@dataclass(frozen=True, kw_only=True)
class KeyPrefix(Text):
    """Prefix of Redis keys."""

    pattern = re.compile(r"[A-Za-z0-9_.:/-]+")
    mismatch = "it holds other characters"
    label: str = "letters, digits and _ . : / -"


@dataclass(frozen=True, kw_only=True)
class DottedPath(Text):
    """Path into a JSON object, such as `options.path`."""

    pattern = re.compile(r"[^.\s][^.]*(?:\.[^.]+)*")
    mismatch = "one of its parts is empty"
    label: str = "a dotted path such as options.path"


@dataclass(frozen=True, kw_only=True)
class HostName(Text):
    """Host name or IP address, stored without brackets."""

    label: str = "a host name or address, without scheme and port"

    def normalise(self, text: str) -> str:
        bare = text.removeprefix("[").removesuffix("]")
        if re.search(r"[\s/@?#\[\]]", bare) is not None or bare.count(":") == 1:
            raise InvalidValue("not a host name or address alone")
        return bare


@dataclass(frozen=True, kw_only=True)
class HostPort(Text):
    """Host with or without a port; an IPv6 address stands in brackets when a port follows."""

    label: str = "host or host:port"

    def normalise(self, text: str) -> str:
        _ = parse_host_port(text, default_port=1)
        return text


@dataclass(frozen=True, kw_only=True)
class FilePath(Text):
    """Path of a file or folder, stored as an absolute path."""

    label: str = "a path"
    root: bool = True  # `/` itself is accepted

    def normalise(self, text: str) -> str:
        path = os.path.abspath(text)
        if not self.root and path.strip("/") == "":
            raise InvalidValue("the whole file system cannot be used")
        return path


@dataclass(frozen=True, kw_only=True)
class RegularExpression(Text):
    """Regular expression that compiles."""

    trim: bool = False
    label: str = "a regular expression"

    def normalise(self, text: str) -> str:
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError) as err:
            raise InvalidValue("it does not compile" + (f": {err.msg}" if isinstance(err, re.error) else "")) from err
        return text


@dataclass(frozen=True, kw_only=True)
class HttpUrl(Text):
    """HTTP or HTTPS URL."""

    sensitive: ClassVar[bool] = True
    label: str = "an http:// or https:// URL"
    base: bool = False  # no query, fragment or credentials; stored without a trailing slash

    def normalise(self, text: str) -> str:
        url = split_url(text)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise InvalidValue("not an http:// or https:// URL with a host")
        if self.base and (url.query or url.fragment or url.username or url.password):
            raise InvalidValue("it takes no query, fragment or credentials")
        return text.rstrip("/") if self.base else text


@dataclass(frozen=True, kw_only=True)
class RedisUrl(Text):
    """URL of a Redis server."""

    sensitive: ClassVar[bool] = True
    label: str = "a URL such as redis://host:6379/0, rediss://host:6379/0 or unix:///path?db=0"

    def normalise(self, text: str) -> str:
        url = split_url(text)
        if url.scheme in ("redis", "rediss") and url.hostname:
            if re.match(r"(?:/[0-9]*)?\Z", url.path) is None:
                raise InvalidValue("what follows the host must be the number of a database")
            return text
        if url.scheme == "unix" and url.path.startswith("/"):
            return text
        raise InvalidValue("not a redis://, rediss:// or unix:// URL")


def split_url(text: str) -> SplitResult:
    """Split a URL, whose port must be a number. Raises InvalidValue."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as err:
        raise InvalidValue("not a URL") from err
    if any(char.isspace() for char in text):
        raise InvalidValue("not a URL: it holds a blank")
    return url


def parse_host_port(text: str, *, default_port: int) -> tuple[str, int]:
    """Split a HostPort into host and port. Raises InvalidValue."""
    bare = text.count(":") > 1 and not text.startswith("[")
    url = split_url(f"//[{text}]" if bare else f"//{text}")
    if not url.hostname or url.path or url.query or url.fragment or url.username is not None or url.port == 0:
        raise InvalidValue("not a host, or a host and its port")
    return url.hostname, url.port or default_port
