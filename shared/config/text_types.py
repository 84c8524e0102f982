"""Kinds of text: names, paths, addresses, each checked and brought into its one form. Pure."""

import os.path
import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from longshore.shared.config.value_types import InvalidValue, ScalarType

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")  # RFC 9110 §5.6.2 token
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # surrogates: bytes of the environment that are not UTF-8
_ROUTE = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+\Z")
_KEY_BASE = re.compile(r"[A-Za-z0-9_.:/-]+\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PRINCIPAL = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_SCOPE = re.compile(r"[!#-\[\]-~]+\Z")
_DOTTED = re.compile(r"[^.\s][^.]*(?:\.[^.]+)*\Z")

# What each hop or the protocol sets for itself (RFC 9110 §7.6.1; MCP basic/transports/streamable-http).
_OWN_HEADERS = frozenset(
    {
        "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect",
        "host", "keep-alive", "last-event-id", "mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name",
        "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    }
)


@dataclass(frozen=True, kw_only=True)
class Text(ScalarType):
    """Any text on one line. Blank is null where null is taken and `blank` does not say otherwise."""

    blank: bool = False  # whether blank is a value, or means null
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
        return self.check(text.strip() if self.trim else text)

    def check(self, text: str) -> str:
        """`text`, not blank and without control characters, in the form that is stored. Raises InvalidValue."""
        return text


@dataclass(frozen=True, kw_only=True)
class Credential(Text):
    """A secret that a caller sends in a header: kept exactly as written."""

    blank: bool = True
    trim: bool = False
    label: str = "text in printable ASCII without blanks around it"

    def check(self, text: str) -> str:
        if not text.isascii() or text != text.strip():
            raise InvalidValue("no HTTP header could carry it")
        return text


@dataclass(frozen=True, kw_only=True)
class Sha256(Text):
    """A SHA-256 in hexadecimal, in lower case."""

    blank: bool = True
    label: str = "a SHA-256 in 64 hexadecimal digits"

    def check(self, text: str) -> str:
        if _SHA256.match(lower := text.lower()) is None:
            raise InvalidValue("not 64 hexadecimal digits")
        return lower


@dataclass(frozen=True, kw_only=True)
class PrincipalName(Text):
    """The name of a principal. Such names never look like those of callers known otherwise, which hold `#` or `@`."""

    label: str = "letters, digits and . _ -"

    def check(self, text: str) -> str:
        if _PRINCIPAL.match(text) is None:
            raise InvalidValue("it holds other characters, or more than 64")
        return text


@dataclass(frozen=True, kw_only=True)
class OAuthScope(Text):
    """One scope of an access token (RFC 6749 §3.3)."""

    label: str = "one scope, without blanks or quotes"

    def check(self, text: str) -> str:
        if _SCOPE.match(text) is None:
            raise InvalidValue("no scope can have these characters")
        return text


@dataclass(frozen=True, kw_only=True)
class HeaderName(Text):
    """The name of an HTTP header; `free` when any is taken, else none that longshore sets itself."""

    label: str = "the name of an HTTP header"
    free: bool = False

    def check(self, text: str) -> str:
        if _HEADER_NAME.match(text) is None:
            raise InvalidValue("not the name of an HTTP header")
        if not self.free and text.lower() in _OWN_HEADERS:
            raise InvalidValue("the protocol sets this header itself")
        return text


@dataclass(frozen=True, kw_only=True)
class UriScheme(Text):
    """The start of a URI, in lower case."""

    label: str = "a URI scheme that ends with ://"

    def check(self, text: str) -> str:
        if _SCHEME.match(lower := text.lower()) is None:
            raise InvalidValue("not a URI scheme that ends with ://")
        return lower


@dataclass(frozen=True, kw_only=True)
class UrlPath(Text):
    """A path on our own listener: a leading slash, no trailing one."""

    label: str = "a URL path other than /"

    def check(self, text: str) -> str:
        path = "/" + text.strip("/")
        if path == "/":
            raise InvalidValue("the root cannot be used")
        if _ROUTE.match(path) is None or any(part in (".", "..") for part in path.split("/")):
            raise InvalidValue("not a plain URL path")
        return path


@dataclass(frozen=True, kw_only=True)
class ServerId(Text):
    """A server's id, which is one segment of the upload and download URLs."""

    label: str = "text without slashes"

    def check(self, text: str) -> str:
        if "/" in text or "\\" in text or text in (".", ".."):
            raise InvalidValue("it could not be one segment of a URL")
        return text


@dataclass(frozen=True, kw_only=True)
class KeyPrefix(Text):
    """What Redis keys begin with."""

    label: str = "letters, digits and _ . : / -"

    def check(self, text: str) -> str:
        if _KEY_BASE.match(text) is None:
            raise InvalidValue("it holds other characters")
        return text


@dataclass(frozen=True, kw_only=True)
class HostName(Text):
    """A host name or an address, without a port."""

    label: str = "a host name or address, without scheme and port"

    def check(self, text: str) -> str:
        bare = text.removeprefix("[").removesuffix("]")
        if re.search(r"[\s/@?#\[\]]", bare) is not None or bare.count(":") == 1:
            raise InvalidValue("not a host name or address alone")
        return bare


@dataclass(frozen=True, kw_only=True)
class HostPort(Text):
    """A host with or without a port; an IPv6 address in brackets when a port follows."""

    label: str = "host or host:port"

    def check(self, text: str) -> str:
        _ = parse_host_port(text, default_port=1)
        return text


@dataclass(frozen=True, kw_only=True)
class DottedPath(Text):
    """A path into JSON, such as `options.path`."""

    label: str = "a dotted path such as options.path"

    def check(self, text: str) -> str:
        if _DOTTED.match(text) is None:
            raise InvalidValue("one of its parts is empty")
        return text


@dataclass(frozen=True, kw_only=True)
class FilePath(Text):
    """A folder or file of this host; a relative path starts at the working directory."""

    label: str = "a path"
    root: bool = True  # whether `/` itself is taken

    def check(self, text: str) -> str:
        path = os.path.abspath(text)
        if not self.root and path.strip("/") == "":
            raise InvalidValue("the whole file system cannot be used")
        return path


@dataclass(frozen=True, kw_only=True)
class RegularExpression(Text):
    """A regular expression."""

    trim: bool = False
    label: str = "a regular expression"

    def check(self, text: str) -> str:
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError) as err:
            raise InvalidValue("it does not compile" + (f": {err.msg}" if isinstance(err, re.error) else "")) from err
        return text


@dataclass(frozen=True, kw_only=True)
class HttpUrl(Text):
    """An http or https URL. A base loses its trailing slash and takes no query."""

    sensitive: ClassVar[bool] = True
    label: str = "an http:// or https:// URL"
    base: bool = False

    def check(self, text: str) -> str:
        url = split_url(text)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise InvalidValue("not an http:// or https:// URL with a host")
        if self.base and (url.query or url.fragment or url.username or url.password):
            raise InvalidValue("it takes no query, fragment or credentials")
        return text.rstrip("/") if self.base else text


@dataclass(frozen=True, kw_only=True)
class RedisUrl(Text):
    """Where a Redis server listens."""

    sensitive: ClassVar[bool] = True
    label: str = "a URL such as redis://host:6379/0, rediss://host:6379/0 or unix:///path?db=0"

    def check(self, text: str) -> str:
        url = split_url(text)
        if url.scheme in ("redis", "rediss") and url.hostname:
            if re.match(r"(?:/[0-9]*)?\Z", url.path) is None:
                raise InvalidValue("what follows the host must be the number of a database")
            return text
        if url.scheme == "unix" and url.path.startswith("/"):
            return text
        raise InvalidValue("not a redis://, rediss:// or unix:// URL")


def split_url(text: str) -> SplitResult:
    """The parts of a URL whose port, if any, is a number. Raises InvalidValue."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError as err:
        raise InvalidValue("not a URL") from err
    if any(char.isspace() for char in text):
        raise InvalidValue("not a URL: it holds a blank")
    return url


def parse_host_port(text: str, *, default_port: int) -> tuple[str, int]:
    """What a HostPort stands for. Raises InvalidValue."""
    bare = text.count(":") > 1 and not text.startswith("[")
    url = split_url(f"//[{text}]" if bare else f"//{text}")
    if not url.hostname or url.path or url.query or url.fragment or url.username is not None or url.port == 0:
        raise InvalidValue("not a host, or a host and its port")
    return url.hostname, url.port or default_port
