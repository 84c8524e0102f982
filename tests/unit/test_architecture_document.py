"""The lists of modules in docs/architecture.md and tests/fixtures/README.md are the tree's own."""

from pathlib import Path

import pytest

from tests.fixtures.modules_table import ARCHITECTURE, FIXTURES, with_table


@pytest.mark.parametrize("place, module", [(ARCHITECTURE, "forward"), (FIXTURES, "upstreams")])
def test_every_module_is_listed_with_what_it_promises(place: Path, module: str) -> None:
    """Mend it with `python -m tests.fixtures.modules_table docs/architecture.md`, or the other file's name."""
    document = place.read_text()

    assert document == with_table(place)
    assert f"| `{module}` |" in document
