"""Reads what one key holds: variables first, then its kind, then whether this version can do it. Pure."""

from dataclasses import dataclass
from typing import Literal

from longshore.shared.config.kinds import Atom, BadValue, Choice, ListOf, MapOf, Single, Unbuilt, Value
from longshore.shared.config.row import LATER, SUPERSEDED, WORKS, Required, Row
from longshore.shared.config.variables import Variables
from longshore.shared.config.yamltree import Items, Map, Scalar, Tree, quoted


class NotAccepted(Exception):
    """A key's value is refused, for the reason and on the line given."""

    def __init__(self, reason: str, line: int) -> None:
        self.line = line
        super().__init__(reason)


def no_effect(row: Row) -> tuple[Literal["later", "superseded"], str] | None:
    """Why a key that the file names does nothing; None for one that works."""
    if row.standing is LATER:
        return "later", "has no effect: not available in this version of longshore"
    if row.standing is SUPERSEDED:
        return "superseded", f"has no effect any more: {row.instead}"
    return None


@dataclass(frozen=True)
class ValueReader:
    """Reads values of one file."""

    variables: Variables

    def read(self, row: Row, tree: Tree) -> Value:
        """The value of `row` that `tree` stands for. Raises NotAccepted."""
        try:
            value = self._value(row, tree)
        except _Invalid as err:
            if row.standing is LATER and not err.variable:
                raise NotAccepted(_not_available(row), err.line) from err
            raise NotAccepted(str(err), err.line) from err
        if row.standing is LATER and value != row.default and value not in row.off:
            raise NotAccepted(_not_available(row), tree.line)
        if row.standing is WORKS and value in row.not_yet:
            raise NotAccepted(_not_yet(row, value), tree.line)
        return value

    def _value(self, row: Row, tree: Tree) -> Value:
        kind = row.kind
        if isinstance(kind, Single):
            return self._single(row, kind, tree)
        if isinstance(kind, ListOf):
            return self._list(row, kind, tree)
        if isinstance(kind, MapOf):
            return self._map(row, kind, tree)
        if isinstance(kind, Unbuilt) and _is_empty(tree) and not isinstance(row.default, Required):
            return row.default
        raise _Invalid("", kind.allowed, tree.line)

    def _single(self, row: Row, kind: Single, tree: Tree) -> Atom:
        if not isinstance(tree, Scalar):
            raise _Invalid("is not a single value", kind.allowed, tree.line)
        if tree.null:
            if not kind.nullable:
                raise _Invalid("must not be null", kind.allowed, tree.line)
            return None
        try:
            text = self.variables.substitute(tree.text)
        except BadValue as err:
            raise _Invalid(str(err), "", tree.line, variable=True) from err
        if kind.nullable and kind.means_null(text):
            return None
        try:
            return kind.read(text)
        except BadValue as err:
            shown = "the value" if row.secret or kind.private else quoted(tree.text)
            raise _Invalid(f"{shown} is refused: {err}", kind.allowed, tree.line) from err

    def _list(self, row: Row, kind: ListOf, tree: Tree) -> tuple[Atom, ...]:
        if isinstance(tree, Scalar) and tree.null:
            items: tuple[Tree, ...] = ()
        elif isinstance(tree, Items):
            items = tree.values
        else:
            raise _Invalid("is not a list", kind.allowed, tree.line)
        if kind.drop_blank:
            items = tuple(item for item in items if not (isinstance(item, Scalar) and not item.text.strip()))
        if len(items) < kind.least:
            raise _Invalid("is empty", kind.allowed, tree.line)
        return tuple(self._single(row, kind.item, item) for item in items)

    def _map(self, row: Row, kind: MapOf, tree: Tree) -> dict[str, Atom]:
        if isinstance(tree, Scalar) and tree.null:
            return {}
        if not isinstance(tree, Map):
            raise _Invalid("is not a map", kind.allowed, tree.line)
        found: dict[str, Atom] = {}
        for entry in tree.entries:
            try:
                name = str(kind.key.read(entry.key))
            except BadValue as err:
                raise _Invalid(f"the name {quoted(entry.key)} is refused: {err}", kind.allowed, entry.line) from err
            found[name] = self._single(row, kind.value, entry.value)
        return found


class _Invalid(Exception):
    """A value that does not fit its kind, or a variable without a value."""

    def __init__(self, reason: str, allowed: str, line: int, *, variable: bool = False) -> None:
        self.line = line
        self.variable = variable
        super().__init__(f"{reason}; allowed: {allowed}" if allowed else reason)


def show(value: Value) -> str:
    """A value as the file would spell it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(show(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {show(item)}" for name, item in value.items()) + "}"
    return str(value)


def _not_available(row: Row) -> str:
    accepted = () if isinstance(row.default, Required) else (row.default, *row.off)
    return f"not available in this version of longshore; use {' or '.join(map(show, accepted))}, or remove it"


def _not_yet(row: Row, value: Value) -> str:
    words = row.kind.words if isinstance(row.kind, Choice) else ()
    works = [word for word in words if word not in row.not_yet]
    return f"{show(value)} is not available in this version of longshore; use {' or '.join(works)}"


def _is_empty(tree: Tree) -> bool:
    if isinstance(tree, Scalar):
        return tree.null
    return not (tree.values if isinstance(tree, Items) else tree.entries)
