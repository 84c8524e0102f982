"""Numbers that scripts hand to Redis are numbers to every server."""

import re

from tests.fixtures.processes import REPOSITORY

_NEGATED = re.compile(r"redis\.call\([^\n]*[,(]\s*-\s*(?!\d)(?P<what>[\w.\[\]#]+)")


def test_no_script_hands_over_what_may_be_minus_zero() -> None:
    """In Lua -0 is a number of its own, which Redis 7.0 does not take for an integer: test for 0 first."""
    found = []
    for path in sorted((REPOSITORY / "shared" / "lua").glob("*.lua")):
        code = re.sub(r"--.*", "", path.read_text())
        for call in _NEGATED.finditer(code):
            tested = re.compile(rf"if {re.escape(call['what'])} > 0 then\s*\Z")
            if not tested.search(code[:call.start()]):
                found.append(f"{path.name}: -{call['what']}")

    assert found == []
