"""docs/metrics.md lists the families as they are."""

from tests.fixtures.metrics_table import with_table
from tests.fixtures.processes import REPOSITORY


def test_the_list_of_families_is_current() -> None:
    """`python -m tests.fixtures.metrics_table docs/metrics.md` brings it up to date."""
    document = (REPOSITORY / "docs/metrics.md").read_text()

    assert document == with_table(document)
