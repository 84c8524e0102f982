"""Fixtures that most tests of the running system share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.fixtures.gateway import Backing, backing
from tests.fixtures.requirements import requirements
from tests.fixtures.secrecy import WATCH, see_events, watching_requests
from tests.fixtures.storage import redis_binaries, version_of
from tests.fixtures.upstreams import ScriptedUpstream, scripted
from tests.fixtures.workers import Worker, Workers, is_worker

# How fast examples are made and checked is the machine's business, which may have others to serve.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def _secrets_are_learnt() -> Iterator[None]:
    """Credentials of tests and configurations are searched for in all output."""
    with watching_requests():
        yield


@pytest.fixture(autouse=True)
def _no_secret_came_out() -> Iterator[None]:
    """Fails the test during which a secret came out somewhere: tests/fixtures/secrecy.py."""
    see_events()
    yield
    assert WATCH.take() == []


def pytest_configure(config: pytest.Config) -> None:
    """Tests that processes share are shared by tests/fixtures/workers.py."""
    config.pluginmanager.register(Worker(config) if is_worker(config) else Workers(), "workers")


def pytest_report_header() -> list[str]:
    """The servers that the tests choose, whatever is on PATH."""
    bundled, *others = [f"{version_of(binary)} ({binary})" for binary in redis_binaries()]
    also = [f"redis server of the tests of state besides: {other}" for other in others]
    return [f"redis server: {bundled}", *also]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks with requirements that tests/requirements.toml does not know are mistakes."""
    for item in items:
        for mark in item.iter_markers("requirement"):
            if unknown := set(mark.args) - requirements().keys():
                raise pytest.UsageError(f"{item.nodeid}: no such requirement: {', '.join(sorted(unknown))}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Processes that all tests share end after the last of them."""
    workers = session.config.pluginmanager.get_plugin("workers")
    if isinstance(workers, Worker):
        workers.report(WATCH.take())
    elif isinstance(workers, Workers) and (leaks := WATCH.take() + workers.leaks):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        raise pytest.UsageError("secrets came out of processes that tests share: " + "; ".join(leaks))


@pytest.fixture(scope="session")
def shared_backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backing]:
    """One Redis, storage root and worker for all tests that leave nothing behind for others to trip over."""
    with backing(tmp_path_factory.mktemp("backing")) as made:
        yield made


@pytest.fixture
def fresh_backing(tmp_path: Path) -> Iterator[Backing]:
    """A Redis, storage root and worker of the test's own, so that it can count what is left."""
    with backing(tmp_path) as made:
        yield made


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    """An upstream with the tools `read`, `write` and `echo`."""
    async with scripted("read", "write", "echo") as running:
        yield running
