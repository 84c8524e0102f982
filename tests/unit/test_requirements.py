"""Every requirement of the protocols has a test that proves it."""

from tests.fixtures.requirements import marked, requirements


def test_each_requirement_has_a_test() -> None:
    """Mark a test with `@pytest.mark.requirement("<id>")` that fails when the gateway breaks the requirement."""
    without = [f"{name}: {text}" for name, text in requirements().items() if name not in marked()]

    assert without == []


def test_each_mark_names_a_requirement() -> None:
    unknown = {name: tests for name, tests in marked().items() if name not in requirements()}

    assert unknown == {}
