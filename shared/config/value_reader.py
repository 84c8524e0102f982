"""Reads the value of one key from the YAML tree: variables first, then the value type, then availability. Pure."""

from dataclasses import dataclass

from longshore.shared.config.keys import KeyClass
from longshore.shared.config.schema import REQUIRED, KeySchema
from longshore.shared.config.value_types import Atom, Choice, InvalidValue, ListOf, MapOf, ScalarType, Value, show
from longshore.shared.config.variables import Variables
from longshore.shared.config.yaml_tree import Items, Map, Scalar, Tree, quoted


class RejectedValue(Exception):
    """A value that its key does not accept, with the reason and the line."""

    def __init__(self, reason: str, line: int, *, allowed: str = "", missing_variable: bool = False) -> None:
        self.line = line
        self.missing_variable = missing_variable
        super().__init__(f"{reason}; allowed: {allowed}" if allowed else reason)


@dataclass(frozen=True)
class ValueReader:
    """Reader of the values of one file."""

    variables: Variables

    def read(self, key: KeySchema, tree: Tree) -> Value:
        """Read the value of `key` from `tree`. Raises RejectedValue."""
        is_later = key.key_class is KeyClass.LATER
        try:
            value = self._value(key, tree)
        except RejectedValue as err:
            if is_later and not err.missing_variable:
                raise RejectedValue(_not_available(key), err.line) from err
            raise
        if is_later and value not in (key.default, *key.off):
            raise RejectedValue(_not_available(key), tree.line)
        if value in key.options.not_yet:
            raise RejectedValue(_not_yet(key, value), tree.line)
        return value

    def _value(self, key: KeySchema, tree: Tree) -> Value:
        if isinstance(key.value_type, ListOf):
            return self._list(key, key.value_type, tree)
        if isinstance(key.value_type, MapOf):
            return self._map(key, key.value_type, tree)
        assert isinstance(key.value_type, ScalarType)
        return self._scalar(key, key.value_type, tree)

    def _scalar(self, key: KeySchema, value_type: ScalarType, tree: Tree) -> Atom:
        if not isinstance(tree, Scalar):
            raise RejectedValue("is not a single value", tree.line, allowed=value_type.allowed)
        if tree.null:
            if not value_type.nullable:
                raise RejectedValue("must not be null", tree.line, allowed=value_type.allowed)
            return None
        try:
            text = self.variables.substitute(tree.text)
        except InvalidValue as err:
            raise RejectedValue(str(err), tree.line, missing_variable=True) from err
        if value_type.nullable and value_type.means_null(text):
            return None
        try:
            return value_type.read(text)
        except InvalidValue as err:
            shown = "the value" if key.options.secret or value_type.sensitive else quoted(tree.text)
            raise RejectedValue(f"{shown} is refused: {err}", tree.line, allowed=value_type.allowed) from err

    def _list(self, key: KeySchema, value_type: ListOf, tree: Tree) -> tuple[Atom, ...]:
        if isinstance(tree, Scalar) and tree.null:
            items: tuple[Tree, ...] = ()
        elif isinstance(tree, Items):
            items = tree.values
        else:
            raise RejectedValue("is not a list", tree.line, allowed=value_type.allowed)
        if value_type.drop_blank:
            items = tuple(item for item in items if not (isinstance(item, Scalar) and not item.text.strip()))
        if len(items) < value_type.least:
            raise RejectedValue("is empty", tree.line, allowed=value_type.allowed)
        return tuple(self._scalar(key, value_type.item, item) for item in items)

    def _map(self, key: KeySchema, value_type: MapOf, tree: Tree) -> dict[str, Atom]:
        if isinstance(tree, Scalar) and tree.null:
            return {}
        if not isinstance(tree, Map):
            raise RejectedValue("is not a map", tree.line, allowed=value_type.allowed)
        found: dict[str, Atom] = {}
        for entry in tree.entries:
            try:
                name = str(value_type.key.read(entry.key))
            except InvalidValue as err:
                reason = f"the name {quoted(entry.key)} is refused: {err}"
                raise RejectedValue(reason, entry.line, allowed=value_type.allowed) from err
            found[name] = self._scalar(key, value_type.value, entry.value)
        return found


def _not_available(key: KeySchema) -> str:
    accepted = () if key.default is REQUIRED else (key.default, *key.off)
    return f"not available in this version of longshore; use {' or '.join(map(show, accepted))}, or remove it"


def _not_yet(key: KeySchema, value: Value) -> str:
    options = key.value_type.options if isinstance(key.value_type, Choice) else ()
    works = [option for option in options if option not in key.options.not_yet]
    return f"{show(value)} is not available in this version of longshore; use {' or '.join(works)}"
