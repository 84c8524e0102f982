"""Reads the sections of a YAML tree by the schema and collects values and faults. Pure."""

import difflib
from dataclasses import dataclass, field

from longshore.shared.config.faults import Notice
from longshore.shared.config.keys import KeyClass
from longshore.shared.config.parse_result import ParseResult
from longshore.shared.config.schema import KEYS, REQUIRED, ROOT, KeySchema, SectionSchema
from longshore.shared.config.value_reader import RejectedValue, ValueReader
from longshore.shared.config.value_types import InvalidValue
from longshore.shared.config.variables import Variables
from longshore.shared.config.yaml_tree import Entry, Items, Map, Scalar, Tree, quoted


def read(tree: Tree, variables: Variables) -> ParseResult:
    """Read all values of `tree`, with a fault for each error. A missing key has its default."""
    reader = _SectionReader(values=ValueReader(variables))
    reader.section(ROOT, tree, at="")
    reader.result.faults.sort(key=lambda fault: fault.line)
    return reader.result


@dataclass
class _SectionReader:
    values: ValueReader
    result: ParseResult = field(default_factory=ParseResult)

    def section(self, section: SectionSchema, tree: Tree, at: str) -> None:
        """Read one level and the levels below it."""
        given = self._entries(tree, at)
        if given is None:
            return
        for name, key in section.keys.items():
            path = _join(at, name)
            entry = self._entry(given, key, at)
            if entry is not None:
                self._key(key, entry, path)
            elif key.default is REQUIRED:
                self.result.fault(path, f"is required: {key.value_type.allowed}", line=tree.line)
            else:
                self.result.values[path] = key.default
        for name, below in section.sections.items():
            self.section(below, self._below(given, name, at, tree.line), _join(at, name))
        for name, below in section.lists.items():
            self._list(below, given.pop(name, None), _join(at, name), needed=name in section.required)
        for name, tags in section.tagged.items():
            self._tagged(tags, given.pop(name, None), _join(at, name))
        for entry in given.values():
            self.result.fault(_join(at, _shown_key(entry.key)), _unknown(entry.key, section), line=entry.line)

    def _entries(self, tree: Tree, at: str) -> dict[str, Entry] | None:
        """Entries of a section; null is an empty section. None, with a fault, for other values."""
        if isinstance(tree, Map):
            return {entry.key: entry for entry in tree.entries}
        if _is_empty(tree):
            return {}
        self.result.fault(at, "is a section: its keys belong below it, indented", line=tree.line)
        return None

    def _entry(self, given: dict[str, Entry], key: KeySchema, at: str) -> Entry | None:
        entry = given.pop(key.name, None)
        alias = given.pop(key.options.alias, None) if key.options.alias else None
        if entry is not None and alias is not None:
            text = f"is another name of {key.name}, which line {entry.line} gives already"
            self.result.fault(_join(at, key.options.alias), text, line=alias.line)
        return entry or alias

    def _below(self, given: dict[str, Entry], name: str, at: str, line: int) -> Tree:
        entry = given.pop(name, None)
        if entry is None:
            return Map(entries=(), line=line)
        self.result.lines[_join(at, name)] = entry.line
        return entry.value

    def _key(self, key: KeySchema, entry: Entry, path: str) -> None:
        self.result.lines[path] = entry.line
        try:
            self.result.values[path] = self.values.read(key, entry.value)
        except RejectedValue as err:
            self.result.fault(path, str(err), line=err.line)
            return
        if key.key_class is KeyClass.LATER:
            text = "has no effect: not available in this version of longshore"
            self.result.notices.append(Notice(kind="later", path=path, line=entry.line, text=text))
        elif key.key_class is KeyClass.SUPERSEDED:
            text = f"has no effect any more: {key.options.superseded_by}"
            self.result.notices.append(Notice(kind="superseded", path=path, line=entry.line, text=text))

    def _items(self, entry: Entry | None, path: str) -> tuple[Tree, ...]:
        if entry is None:
            return ()
        self.result.lines[path] = entry.line
        if isinstance(entry.value, Items):
            return entry.value.values
        if not _is_empty(entry.value):
            self.result.fault(path, "is a list: each item begins with `- `", line=entry.line)
        return ()

    def _list(self, section: SectionSchema, entry: Entry | None, path: str, *, needed: bool) -> None:
        items = self._items(entry, path)
        self.result.lengths[path] = len(items)
        for index, item in enumerate(items):
            self._item(section, item, f"{path}[{index}]")
        if needed and (entry is None or _is_empty(entry.value)):
            line = 0 if entry is None else entry.line
            self.result.fault(path, "is required: a list with at least one item", line=line)

    def _tagged(self, tags: dict[str, SectionSchema], entry: Entry | None, path: str) -> None:
        items = self._items(entry, path)
        self.result.lengths[path] = len(items)
        for index, item in enumerate(items):
            at = f"{path}[{index}]"
            tag = self._tag(tags, item, at)
            if tag is not None:
                self.result.tags[at] = tag
                self._item(tags[tag], item, at)

    def _item(self, section: SectionSchema, item: Tree, at: str) -> None:
        self.result.lines[at] = item.line
        self.section(section, item, at)

    def _tag(self, tags: dict[str, SectionSchema], item: Tree, at: str) -> str | None:
        """Tag of an item, from its key `type`; None, with a fault, if it is missing or unknown."""
        entries = self._entries(item, at)
        if entries is None:
            return None
        entry = entries.get("type")
        allowed = f"one of {', '.join(tags)}"
        if entry is None or not isinstance(entry.value, Scalar):
            line = item.line if entry is None else entry.line
            self.result.fault(f"{at}.type", f"is required: {allowed}", line=line)
            return None
        try:
            tag = self.values.variables.substitute(entry.value.text).strip()
        except InvalidValue as err:
            self.result.fault(f"{at}.type", str(err), line=entry.line)
            return None
        if tag not in tags:
            near = difflib.get_close_matches(tag, tags, n=1, cutoff=0)[0]
            shown = quoted(entry.value.text)
            self.result.fault(f"{at}.type", f"{shown} is not {allowed}; did you mean {near}?", line=entry.line)
            return None
        return tag


def _is_empty(tree: Tree) -> bool:
    """True for null and for a list without items."""
    return tree.null if isinstance(tree, Scalar) else isinstance(tree, Items) and not tree.values


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _shown_key(key: str) -> str:
    return key if key.isidentifier() and len(key) <= 60 else quoted(key)


def _unknown(key: str, section: SectionSchema) -> str:
    """Message for an unknown key: the section it belongs to or the most similar name, and the accepted names."""
    elsewhere = [known.path for known in KEYS if known.name == key][:3]
    near = difflib.get_close_matches(key.lower(), section.names, n=1, cutoff=0)
    close = difflib.get_close_matches(key.lower(), section.names, n=1)
    hint = f"it belongs at {' or '.join(elsewhere)}." if elsewhere and not close else f"did you mean {near[0]}?"
    return f"is not a known key; {hint} Allowed here: {', '.join(section.names)}"
