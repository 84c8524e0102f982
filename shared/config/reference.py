"""Reference of all keys in docs/configuration.md. `python -m longshore.shared.config.reference FILE` writes it."""

import sys
from pathlib import Path

from longshore.shared.config.keys import KeyClass
from longshore.shared.config.schema import KEYS, REQUIRED, KeySchema
from longshore.shared.config.value_types import ByteSize, FileMode, show

BEGIN = "<!-- reference: written by `python -m longshore.shared.config.reference docs/configuration.md` -->\n"
END = "<!-- end of reference -->\n"


def render() -> str:
    """Render one Markdown table per section: key, class, default, accepted values, description."""
    sections: dict[str, list[KeySchema]] = {}
    for key in KEYS:
        sections.setdefault(_heading(key.path), []).append(key)
    return "\n".join(_table(heading, keys) for heading, keys in sections.items())


def insert(document: str) -> str:
    """Replace the reference between the two marks of `document`."""
    before, _, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError("the document lacks the marks of the reference")
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"


def _heading(path: str) -> str:
    """Section of the reference: the first level of the path, or the type of adapter."""
    parts = path.split(".")
    if parts[0] == "servers[]" and parts[1].startswith("adapters"):
        return ".".join(parts[:2])
    return parts[0]


def _table(heading: str, keys: list[KeySchema]) -> str:
    lines = [f"### `{heading}`", "", "| key | class | default | allowed | |", "|---|---|---|---|---|"]
    for key in keys:
        cells = (f"`{key.path}`", key.key_class.value, _default(key), key.value_type.allowed, _description(key))
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


def _description(key: KeySchema) -> str:
    if key.key_class is KeyClass.SUPERSEDED:
        return f"{key.options.description} Not needed: {key.options.superseded_by}."
    if key.options.not_yet:
        return f"{key.options.description} Not available yet: {', '.join(map(show, key.options.not_yet))}."
    also = f" Also accepted: {', '.join(f'`{show(value)}`' for value in key.off)}." if key.off else ""
    return key.options.description + also


def main() -> None:
    """Rewrite the reference in the document that the command line names."""
    document = Path(sys.argv[1])
    document.write_text(insert(document.read_text()))


if __name__ == "__main__":
    main()
