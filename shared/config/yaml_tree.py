"""YAML parser that keeps line numbers: a tree of maps, lists and scalars. Pure.

Scalars keep their text. The value type of the key, not YAML, decides if `0770` or `off` is a number, text or
a boolean.
"""

from dataclasses import dataclass, field

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from longshore.shared.config.faults import Fault

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

_MAX_NODES = 20_000  # after aliases are expanded
_MAX_DEPTH = 32
_YAML = "tag:yaml.org,2002:"
_NULL = _YAML + "null"
_MERGE = _YAML + "merge"
_SCALAR_TAGS = frozenset(_YAML + tag for tag in ("str", "int", "float", "bool", "null", "timestamp", "value"))
_MAP_TAG = _YAML + "map"
_SEQUENCE_TAG = _YAML + "seq"


@dataclass(frozen=True)
class Scalar:
    """One value. `null`: YAML reads it as null."""

    text: str
    line: int
    null: bool = False


@dataclass(frozen=True)
class Entry:
    """One key of a map with its value."""

    key: str
    line: int
    value: "Tree"


@dataclass(frozen=True)
class Map:
    """Map whose keys are unique and in the order of the file."""

    entries: tuple[Entry, ...]
    line: int


@dataclass(frozen=True)
class Items:
    """List of values."""

    values: tuple["Tree", ...]
    line: int


Tree = Scalar | Map | Items


class NotYaml(Exception):
    """Refusal of text that is not valid YAML. `faults` contain lines and reasons."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__("; ".join(str(fault) for fault in faults))


@dataclass(frozen=True)
class Parsed:
    """A tree, and faults that did not prevent parsing: duplicate keys, tags."""

    tree: Tree
    faults: tuple[Fault, ...] = ()


def parse(text: str) -> Parsed:
    """Parse the single document of `text`; an empty text is an empty map. Raises NotYaml."""
    try:
        _check_nesting(text)
        loader = Loader(text)
        try:
            root: Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as err:
        raise NotYaml(_syntax_fault(err)) from err
    except yaml.reader.ReaderError as err:
        line = text.count("\n", 0, err.position) + 1
        raise NotYaml(Fault(line=line, text="a character that YAML does not allow")) from err
    except RecursionError as err:
        raise NotYaml(Fault(text=f"nested deeper than {_MAX_DEPTH} levels")) from err
    if root is None:
        return Parsed(tree=Map(entries=(), line=1))
    builder = _TreeBuilder()
    tree = builder.tree(root, depth=0)
    return Parsed(tree=tree, faults=tuple(dict.fromkeys(builder.faults)))


def _check_nesting(text: str) -> None:
    """Refuse deep nesting on the event stream, before any recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise NotYaml(Fault(line=_line(event), text=f"nested deeper than {_MAX_DEPTH} levels"))


def _syntax_fault(err: yaml.MarkedYAMLError) -> Fault:
    mark = err.problem_mark or err.context_mark
    text = ", ".join(part for part in (err.context, err.problem) if part)
    return Fault(line=mark.line + 1 if mark is not None else 0, text=f"not valid YAML: {text or 'unknown error'}")


def _line(marked: Node | yaml.Event) -> int:
    mark = marked.start_mark
    return mark.line + 1 if mark is not None else 0


@dataclass
class _TreeBuilder:
    """Conversion of YAML nodes into a tree, with a limit on the nodes that aliases expand to."""

    faults: list[Fault] = field(default_factory=list)
    nodes: int = 0

    def tree(self, node: Node, *, depth: int) -> Tree:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise NotYaml(Fault(line=_line(node), text=f"more than {_MAX_NODES} values once aliases are expanded"))
        if depth > _MAX_DEPTH:
            raise NotYaml(Fault(line=_line(node), text=f"nested deeper than {_MAX_DEPTH} levels, or inside itself"))
        if isinstance(node, MappingNode):
            self._check_tag(node, _MAP_TAG)
            return Map(entries=tuple(self._entries(node, depth).values()), line=_line(node))
        if isinstance(node, SequenceNode):
            self._check_tag(node, _SEQUENCE_TAG)
            return Items(values=tuple(self.tree(item, depth=depth + 1) for item in node.value), line=_line(node))
        self._check_tag(node, *_SCALAR_TAGS)
        return Scalar(text=str(node.value), line=_line(node), null=node.tag == _NULL)

    def _entries(self, node: MappingNode, depth: int) -> dict[str, Entry]:
        own: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                for entry in self._merged(value, depth):
                    merged.setdefault(entry.key, entry)
            elif not isinstance(key, ScalarNode):
                self.faults.append(Fault(line=_line(key), text="a key must be a plain word"))
            elif key.value in own:
                first = own[key.value].line
                text = f"the key {quoted(key.value)} is given twice; it is first on line {first}"
                self.faults.append(Fault(line=_line(key), text=text))
            else:
                entry = Entry(key=key.value, line=_line(key), value=self.tree(value, depth=depth + 1))
                own[key.value] = entry
        return merged | own

    def _merged(self, node: Node, depth: int) -> list[Entry]:
        """Entries that `<<:` merges. The first of several maps wins (yaml.org/type/merge)."""
        sources = node.value if isinstance(node, SequenceNode) else [node]
        entries: list[Entry] = []
        for source in sources:
            tree = self.tree(source, depth=depth + 1)
            if isinstance(tree, Map):
                entries += tree.entries
            else:
                self.faults.append(Fault(line=_line(source), text="`<<` takes a map or a list of maps"))
        return entries

    def _check_tag(self, node: Node, *allowed: str) -> None:
        if node.tag not in allowed:
            shown = node.tag.replace(_YAML, "!!")
            self.faults.append(Fault(line=_line(node), text=f"the tag {quoted(shown)} is not allowed"))


def quoted(text: str) -> str:
    """Quote `text` for a message, on one line and shortened."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
