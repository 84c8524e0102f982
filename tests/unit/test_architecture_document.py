"""The list of modules in docs/architecture.md is the tree's own."""

from tests.fixtures.modules_table import with_table
from tests.fixtures.processes import REPOSITORY


def test_every_module_is_listed_with_what_it_promises() -> None:
    """Mend it with `python -m tests.fixtures.modules_table docs/architecture.md`."""
    document = (REPOSITORY / "docs" / "architecture.md").read_text()

    assert document == with_table(document)
    assert "| `forward` |" in document
