"""Reference of keys in docs/configuration.md: `python -m longshore.shared.config.reference FILE` writes it."""

import sys
from pathlib import Path

from longshore.shared.config.keys import KeyClass
from longshore.shared.config.schema import KEYS, REQUIRED, KeySchema
from longshore.shared.config.value_types import ByteSize, FileMode, show

BEGIN = "<!-- reference: written by `python -m longshore.shared.config.reference docs/configuration.md` -->\n"
END = "<!-- end of reference -->\n"


def render() -> str:
    """One Markdown table for each section, with every key: class, default, what is allowed, what it does."""
    sections: dict[str, list[KeySchema]] = {}
    for key in KEYS:
        sections.setdefault(_heading(key.path), []).append(key)
    return "\n".join(_table(heading, keys) for heading, keys in sections.items())


def insert(document: str) -> str:
    """`document` with what is between its two marks written anew."""
    before, _, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("the document lacks the marks of the reference")
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


def _heading(path: str) -> str:
    """The section that a key is listed under: the first level, with each type of adapter apart."""
    parts = path.split(".")
    if parts[0] == "servers[]" and parts[1].startswith("adapters"):
        return ".".join(parts[:2])
    return parts[0]


def _table(heading: str, keys: list[KeySchema]) -> str:
    lines = [f"### `{heading}`", "", "| key | class | default | allowed | |", "|---|---|---|---|---|"]
    for key in keys:
        cells = (f"`{key.path}`", key.key_class.value, _default(key), key.value_type.allowed, _note(key))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(key: KeySchema) -> str:
    if key.default is REQUIRED:
        return "required"
    if isinstance(key.default, int) and isinstance(key.value_type, FileMode):
        return f"`{key.default:04o}`"
    if isinstance(key.default, int) and isinstance(key.value_type, ByteSize):
        return f"`{_size(key.default)}`"
    return f"`{show(key.default)}`"


def _size(size: int) -> str:
    for power, unit in ((2, "Mi"), (1, "Ki")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)


def _note(key: KeySchema) -> str:
    if key.key_class is KeyClass.SUPERSEDED:
        return f"{key.options.description} Not needed: {key.options.superseded_by}."
    if key.key_class is KeyClass.WORKS:
        later = f" Later: {', '.join(map(show, key.options.not_yet))}." if key.options.not_yet else ""
        return key.options.description + later
    also = f" Also taken: {', '.join(f'`{show(value)}`' for value in key.off)}." if key.off else ""
    return key.options.description + also


def main() -> None:
    """Write the reference into the document that the command line names."""
    document = Path(sys.argv[1])
    document.write_text(insert(document.read_text()))


if __name__ == "__main__":
    main()
