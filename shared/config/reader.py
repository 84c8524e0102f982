"""Checks a tree of YAML against the table of keys and reads the values, collecting every fault. Pure."""

import difflib
from dataclasses import dataclass, field

from longshore.shared.config.faults import Notice
from longshore.shared.config.kinds import BadValue
from longshore.shared.config.reading import Reading
from longshore.shared.config.row import REQUIRED, Row
from longshore.shared.config.surface import ROOT, ROWS, Section
from longshore.shared.config.values import NotAccepted, ValueReader, no_effect
from longshore.shared.config.variables import Variables
from longshore.shared.config.yamltree import Entry, Items, Map, Scalar, Tree, quoted


def read(tree: Tree, variables: Variables) -> Reading:
    """Every value of `tree` that is right, the defaults, and a fault for everything else."""
    reader = _Reader(values=ValueReader(variables))
    reader.section(ROOT, tree, at="")
    reader.reading.faults.sort(key=lambda fault: fault.line)
    return reader.reading


@dataclass
class _Reader:
    values: ValueReader
    reading: Reading = field(default_factory=Reading)

    def section(self, section: Section, tree: Tree, at: str) -> None:
        """Read one level, and what lies below."""
        given = self._entries(tree, at)
        if given is None:
            return
        for name, row in section.rows.items():
            path = _join(at, name)
            entry = self._named(given, row, at)
            if entry is not None:
                self._row(row, entry, path)
            elif row.default is REQUIRED:
                self.reading.fault(path, tree.line, f"is required: {row.kind.allowed}")
            else:
                self.reading.values[path] = row.default
        for name, below in section.sections.items():
            self.section(below, self._below(given, name, at, tree.line), _join(at, name))
        for name, below in section.lists.items():
            self._list(below, given.pop(name, None), _join(at, name), needed=section.needs(name))
        for name, kinds in section.tagged.items():
            self._tagged(kinds, given.pop(name, None), _join(at, name))
        for entry in given.values():
            self.reading.fault(_join(at, _shown_key(entry.key)), entry.line, _unknown(entry.key, section))

    def _entries(self, tree: Tree, at: str) -> dict[str, Entry] | None:
        """The keys of a section, null being an empty one; None, with a fault, for anything else."""
        if isinstance(tree, Map):
            return {entry.key: entry for entry in tree.entries}
        if _is_empty(tree):
            return {}
        self.reading.fault(at, tree.line, "is a section: its keys belong below it, indented")
        return None

    def _named(self, given: dict[str, Entry], row: Row, at: str) -> Entry | None:
        entry = given.pop(row.name, None)
        alias = given.pop(row.alias, None) if row.alias else None
        if entry is not None and alias is not None:
            text = f"is another name of {row.name}, which line {entry.line} gives already"
            self.reading.fault(_join(at, row.alias), alias.line, text)
        return entry or alias

    def _below(self, given: dict[str, Entry], name: str, at: str, line: int) -> Tree:
        entry = given.pop(name, None)
        if entry is None:
            return Map(entries=(), line=line)
        self.reading.lines[_join(at, name)] = entry.line
        return entry.value

    def _row(self, row: Row, entry: Entry, path: str) -> None:
        self.reading.lines[path] = entry.line
        try:
            self.reading.values[path] = self.values.read(row, entry.value)
        except NotAccepted as err:
            self.reading.fault(path, err.line, str(err))
            return
        if (notice := no_effect(row)) is not None:
            kind, text = notice
            self.reading.notices.append(Notice(kind=kind, path=path, line=entry.line, text=text))

    def _items(self, entry: Entry | None, path: str) -> tuple[Tree, ...]:
        if entry is None:
            return ()
        self.reading.lines[path] = entry.line
        if isinstance(entry.value, Items):
            return entry.value.values
        if not _is_empty(entry.value):
            self.reading.fault(path, entry.line, "is a list: each item begins with `- `")
        return ()

    def _list(self, section: Section, entry: Entry | None, path: str, *, needed: bool) -> None:
        items = self._items(entry, path)
        self.reading.lengths[path] = len(items)
        for index, item in enumerate(items):
            self._item(section, item, f"{path}[{index}]")
        if needed and (entry is None or _is_empty(entry.value)):
            line = 0 if entry is None else entry.line
            self.reading.fault(path, line, "is required: a list with at least one item")

    def _tagged(self, kinds: dict[str, Section], entry: Entry | None, path: str) -> None:
        items = self._items(entry, path)
        self.reading.lengths[path] = len(items)
        for index, item in enumerate(items):
            at = f"{path}[{index}]"
            tag = self._tag(kinds, item, at)
            if tag is not None:
                self.reading.tags[at] = tag
                self._item(kinds[tag], item, at)

    def _item(self, section: Section, item: Tree, at: str) -> None:
        self.reading.lines[at] = item.line
        self.section(section, item, at)

    def _tag(self, kinds: dict[str, Section], item: Tree, at: str) -> str | None:
        """Which of `kinds` an item says it is; None, with a fault, when it does not say."""
        entries = self._entries(item, at)
        if entries is None:
            return None
        entry = entries.get("type")
        words = f"one of {', '.join(kinds)}"
        if entry is None or not isinstance(entry.value, Scalar):
            line = item.line if entry is None else entry.line
            self.reading.fault(f"{at}.type", line, f"is required: {words}")
            return None
        try:
            word = self.values.variables.substitute(entry.value.text).strip()
        except BadValue as err:
            self.reading.fault(f"{at}.type", entry.line, str(err))
            return None
        if word not in kinds:
            near = difflib.get_close_matches(word, kinds, n=1, cutoff=0)[0]
            shown = quoted(entry.value.text)
            self.reading.fault(f"{at}.type", entry.line, f"{shown} is not {words}; did you mean {near}?")
            return None
        return word


def _is_empty(tree: Tree) -> bool:
    """Null, or a list without items."""
    return tree.null if isinstance(tree, Scalar) else isinstance(tree, Items) and not tree.values


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _shown_key(key: str) -> str:
    return key if key.isidentifier() and len(key) <= 60 else quoted(key)


def _unknown(key: str, section: Section) -> str:
    """What to say of a key that is not of this section: where it belongs, the nearest one, and what is allowed."""
    elsewhere = [row.path for row in ROWS if row.name == key][:3]
    near = difflib.get_close_matches(key.lower(), section.names, n=1, cutoff=0)
    close = difflib.get_close_matches(key.lower(), section.names, n=1)
    hint = f"it belongs at {' or '.join(elsewhere)}." if elsewhere and not close else f"did you mean {near[0]}?"
    return f"is not a known key; {hint} Allowed here: {', '.join(section.names)}"
