"""Redaction of secrets in log events: by field name, by shape, and by exact value. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from urllib.parse import quote

HIDDEN = "[hidden]"

_MIN_SECRET = 6         # shorter ones would black out ordinary words
_MAX_SCANNED = 65536    # characters of one text; the rest is dropped
_MAX_TEXT = 8192        # characters kept of one text; a traceback may be long
_MAX_DEPTH = 6
_MAX_INTEGER = 2**63

_SECRET_NAME = re.compile(
    r"(?:authorization|cookie|credential|jwt|nonce|passphrase|passwd|password|pwd|secret|signature|(?:^|[_.-])sig|token"
    r"|(?:api|private|access|session|signing|secret)[_-]?key)s?\Z",
    re.IGNORECASE,
)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Authorization: <anything>, Cookie: <anything>, as header lines and inside printed dictionaries
    (re.compile(r"\b((?:proxy-)?authorization|(?:set-)?cookie)([\"']?\s*[:=]\s*[\"']?)[^\r\n\"'}]+", re.IGNORECASE),
     rf"\1\2{HIDDEN}"),
    (re.compile(r"\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1\2{HIDDEN}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"), HIDDEN),  # a JWT
    (re.compile(r"([?&;](?:sig|signature|nonce|(?:access_|id_)?token|api_?key|key|code|secret|password)=)"
                r"[^\s&;#\"'<>\\]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # token='...' and "password": "..." inside printed records and JSON
    (re.compile(r"((?:token|secret|password|api_?key)[\\\"']{0,2}\s*[:=]\s*[\\]?[\"'])[^\"'\r\n\\]+", re.IGNORECASE),
     rf"\1{HIDDEN}"),
    (re.compile(r"(://[^\s/@:]{0,256}:)[^\s/@]+@"), rf"\1{HIDDEN}@"),  # a URL's password
)
_SCHEME = re.compile(r"(?:bearer|basic|token|apikey) ", re.IGNORECASE)
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")

Clean = bool | int | float | str | None | list["Clean"] | dict[str, "Clean"]


class Redactor:
    """Hides `secrets`, the fields named in `headers`, and text that looks like a credential."""

    def __init__(self, secrets: Iterable[str] = (), *, headers: Collection[str] = ()) -> None:
        self._headers = frozenset(_as_field(name) for name in headers)
        self._shapes = (*_SHAPES, *_header_lines(headers))
        self._exact = _any_of(secrets)
        self._more: re.Pattern[str] | None = None

    def with_secrets(self, secrets: Iterable[str]) -> "Redactor":
        """Return a redactor that hides these as well."""
        made = copy(self)
        made._more = _any_of(secrets)
        return made

    def text(self, text: str) -> str:
        """Return `text` without secrets, in valid Unicode, shortened."""
        text = text[:_MAX_SCANNED].encode(errors="backslashreplace").decode()
        for known in (self._exact, self._more):
            if known is not None:
                text = known.sub(HIDDEN, text)
        for pattern, replacement in self._shapes:
            text = pattern.sub(replacement, text)
        return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "..."

    def value(self, value: object, *, depth: int = 0) -> Clean:
        """Convert any value of an event to plain data without secrets; other objects become their text."""
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int) and abs(value) < _MAX_INTEGER:
            return int(value)
        if isinstance(value, Mapping | list | tuple | set | frozenset) and depth >= _MAX_DEPTH:
            return "..."
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.field(str(name), item, depth=depth + 1) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, depth=depth + 1) for item in value]
        shown = value[:_MAX_SCANNED].decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
        return self.text(shown)

    def field(self, name: str, value: object, *, depth: int = 0) -> Clean:
        """Convert as `value` does; hide the whole value if `name` is that of a credential."""
        if value is not None and not isinstance(value, bool) and self._is_secret(name, depth):
            return HIDDEN
        return self.value(value, depth=depth)

    def _is_secret(self, name: str, depth: int) -> bool:
        if _SECRET_NAME.search(name) is not None:
            return True
        field = _as_field(name)     # an event's own field, like `server`, may share its name with some header
        return field in self._headers and (depth > 0 or field.startswith("x_"))


def _as_field(header: str) -> str:
    return header.lower().replace("-", "_")


def _header_lines(headers: Collection[str]) -> list[tuple[re.Pattern[str], str]]:
    """Build the pattern of these headers with their values, except names of one word, which ordinary text may hold."""
    names = "|".join(re.escape(name) for name in headers if "-" in name)
    if not names:
        return []
    line = re.compile(rf"(?<![\w-])({names})([\"']?\s*[:=]\s*[\"']?)[^\r\n\"'}}]+", re.IGNORECASE)
    return [(line, rf"\1\2{HIDDEN}")]


def _any_of(secrets: Iterable[str]) -> re.Pattern[str] | None:
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    known = sorted((text for text in spellings if len(text) >= _MIN_SECRET), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, known))) if known else None


def _spellings(secret: str) -> set[str]:
    """Return the secret as written in text, in a URL and in a printed value, also without its scheme ("Bearer …")."""
    bare = secret.partition(" ")[2].strip() if _SCHEME.match(secret) else secret
    return {spelt for text in (secret, bare) for spelt in (text, quote(text, safe=""), repr(text)[1:-1])}


def escape(text: str) -> str:
    """Put `text` on one line: control, invisible and direction-changing characters as `\\uXXXX`."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
