"""Random interleavings of all operations on sessions and files, against a real Redis and a real folder."""

import asyncio
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.fixtures.storage import RedisServer, redis_server
from tests.integration.session_crowd import MINUTE_MS, OPERATIONS, Crowd, opened_crowd

_OPERATION = st.tuples(st.sampled_from(OPERATIONS), st.sampled_from(range(24)), st.sampled_from(range(0, 900, 7)))


class Crowded(RuleBasedStateMachine):
    """Several operations at once, time that passes, and sweeps in between."""

    server: ClassVar[RedisServer]

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._root = Path(tempfile.mkdtemp(prefix="ls-crowd-"))
        self._opened = opened_crowd(self.server.address, self._root)
        self._crowd: Crowd = self._runner.run(self._opened.__aenter__())

    @initialize(sessions=st.integers(1, 4))
    def begin(self, sessions: int) -> None:
        self._runner.run(self._crowd.at_once([("create", 0, 0)] * sessions))

    @rule(operations=st.lists(_OPERATION, min_size=6, max_size=14))
    def at_once(self, operations: list[tuple[str, int, int]]) -> None:
        self._runner.run(self._crowd.at_once(operations))

    @rule(seconds=st.sampled_from([5, 10, 15, 30, 90, 400, 700, 1300]))
    def time_passes(self, seconds: int) -> None:
        self._runner.run(self._crowd.advance(seconds * MINUTE_MS // 60))

    @rule()
    def swept(self) -> None:
        self._runner.run(self._crowd.sweep())

    @invariant()
    def all_is_exact(self) -> None:
        self._runner.run(self._crowd.check())

    def teardown(self) -> None:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self._root)
            stack.callback(self._runner.close)
            stack.callback(lambda: self._runner.run(self._opened.__aexit__(None, None, None)))
            self._runner.run(self._crowd.finish())


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "examples, steps", [(80, 20), pytest.param(800, 40, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_invariants_hold_after_each_step(examples: int, steps: int) -> None:
    """Counted, recorded and stored bytes agree, no limit is exceeded, and no file in use is removed."""
    profile = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],  # a race does not shrink
    )
    with redis_server() as server:
        Crowded.server = server
        run_state_machine_as_test(Crowded, settings=profile)
