"""Value types of keys: parsing from text, range checks and a description of the accepted values. Pure.

Scalar types parse text, because the value of `${VAR}` is text. Quotes in the YAML make no difference.
"""

import difflib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import ClassVar

Atom = bool | int | float | str | IPv4Network | IPv6Network | None
Value = Atom | tuple[Atom, ...] | dict[str, Atom]

MAX_INTEGER = 2**31 - 1  # in seconds: 68 years
MAX_SIZE = 2**53 - 1   # the largest integer that Redis' Lua counts exactly

_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9_]{0,40})\Z")
_REAL = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?\Z")
_SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,6}))?\s*([kmgt]?)(i?)(b?)\Z", re.IGNORECASE)
_OCTAL = re.compile(r"(?:0o?)?([0-7]{3,4})\Z")
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_NULL = frozenset({"", "~", "null"})


class InvalidValue(Exception):
    """A value that its type does not accept. The message never repeats the value."""


@dataclass(frozen=True, kw_only=True)
class ValueType(ABC):
    """Type of the value of a key."""

    nullable: bool = False

    @property
    def allowed(self) -> str:
        """Description of the accepted values."""
        return f"{self.expected}, or null" if self.nullable else self.expected

    @property
    @abstractmethod
    def expected(self) -> str:
        """Description of the accepted values other than null."""


@dataclass(frozen=True, kw_only=True)
class ScalarType(ValueType):
    """Type whose values are YAML scalars."""

    sensitive: ClassVar[bool] = False  # values may contain a secret: messages do not repeat them

    @abstractmethod
    def read(self, text: str) -> Atom:
        """Parse `text`. Raises InvalidValue."""

    def means_null(self, text: str) -> bool:
        """True if `text` means null in a nullable key."""
        return text.strip().lower() in _NULL


@dataclass(frozen=True, kw_only=True)
class Integer(ScalarType):
    """Decimal integer."""

    least: int = 0
    most: int = MAX_INTEGER

    @property
    def expected(self) -> str:
        if self.most == MAX_INTEGER:
            return f"a whole number, {self.least} or more"
        return f"a whole number from {self.least} to {self.most}"

    def read(self, text: str) -> int:
        if _WHOLE.match(text := text.strip()) is None:
            raise InvalidValue("not a whole number")
        if not self.least <= (number := int(text)) <= self.most:
            raise InvalidValue("out of range")
        return number


@dataclass(frozen=True, kw_only=True)
class Ratio(ScalarType):
    """Number from 0 to 1."""

    @property
    def expected(self) -> str:
        return "a number from 0 to 1"

    def read(self, text: str) -> float:
        if _REAL.match(text := text.strip()) is None:
            raise InvalidValue("not a number")
        if not 0 <= (number := float(text)) <= 1:
            raise InvalidValue("out of range")
        return number


@dataclass(frozen=True, kw_only=True)
class Boolean(ScalarType):
    """true, yes, on, 1, or false, no, off, 0."""

    @property
    def expected(self) -> str:
        return "true or false"

    def read(self, text: str) -> bool:
        text = text.strip().lower()
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise InvalidValue("neither true nor false")


@dataclass(frozen=True, kw_only=True)
class Choice(ScalarType):
    """One of several options."""

    options: tuple[str, ...]
    any_case: bool = False

    @property
    def expected(self) -> str:
        return self.options[0] if len(self.options) == 1 else "one of " + ", ".join(self.options)

    def read(self, text: str) -> str:
        option = text.strip().lower() if self.any_case else text.strip()
        if option in self.options:
            return option
        near = difflib.get_close_matches(option.lower(), self.options, n=1)
        raise InvalidValue(f"not one of the words; did you mean {near[0]}?" if near else "not one of the words")


@dataclass(frozen=True, kw_only=True)
class ByteSize(ScalarType):
    """Number of bytes, with an optional unit."""

    least: int = 0

    @property
    def expected(self) -> str:
        return f"a size in bytes such as 1048576, 500Mi or 2GB, {self.least} or more"

    def read(self, text: str) -> int:
        if not self.least <= (size := parse_size(text)) <= MAX_SIZE:
            raise InvalidValue("out of range")
        return size


def parse_size(text: str) -> int:
    """Parse a size: `K M G T` are powers of 1000, `Ki Mi Gi Ti` of 1024, `B` may follow, in any case.

    A fraction is accepted if the result is a whole number of bytes. Raises InvalidValue.
    """
    if (match := _SIZE.match(text.strip())) is None:
        raise InvalidValue("not a size")
    whole, fraction, letter, binary, _ = match.groups()
    if binary and not letter:
        raise InvalidValue("not a size")
    unit = (1024 if binary else 1000) ** _UNITS[letter.lower()]
    digits = fraction or ""
    size, rest = divmod(int(whole + digits) * unit, 10 ** len(digits))
    if rest:
        raise InvalidValue("not a whole number of bytes")
    return int(size)


@dataclass(frozen=True, kw_only=True)
class FileMode(ScalarType):
    """Permission bits in octal: 0770, "770" and 0o770 are the same."""

    required: int

    @property
    def expected(self) -> str:
        return f"permissions in octal that include {self.required:04o}, such as 0770 or 0660"

    def read(self, text: str) -> int:
        if (match := _OCTAL.match(text.strip())) is None:
            raise InvalidValue("not octal permissions")
        if (mode := int(match[1], 8)) & self.required != self.required:
            raise InvalidValue("longshore could not use its own files")
        return mode


@dataclass(frozen=True, kw_only=True)
class IpNetwork(ScalarType):
    """IP network or single IP address."""

    @property
    def expected(self) -> str:
        return "an address or network such as 10.0.0.0/8 or fd00::/8"

    def read(self, text: str) -> IPv4Network | IPv6Network:
        try:
            return ip_network(text.strip())
        except ValueError as err:
            raise InvalidValue("not a network, or bits are set behind its prefix") from err


@dataclass(frozen=True, kw_only=True)
class ListOf(ValueType):
    """List whose items have one type."""

    item: ScalarType
    least: int = 0
    drop_blank: bool = False  # blank items are ignored

    @property
    def expected(self) -> str:
        return f"a list{' with at least one item' if self.least else ''}; each item is {self.item.allowed}"


@dataclass(frozen=True, kw_only=True)
class MapOf(ValueType):
    """Map from names to values."""

    key: ScalarType
    value: ScalarType

    @property
    def expected(self) -> str:
        return f"a map; each name is {self.key.allowed}, each value {self.value.allowed}"


POSITIVE = Integer(least=1)
PORT = Integer(least=1, most=65535)


def show(value: Value) -> str:
    """`value` as it is written in the file."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(show(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {show(item)}" for name, item in value.items()) + "}"
    return str(value)
