"""The official conformance suite finds through longshore what it finds without: every check, scored or not."""

import asyncio
import re
from collections.abc import Sequence, Set
from pathlib import Path

import msgspec
import pytest

from tests.e2e.stack import one_of_each, server
from tests.fixtures.balancer import round_robin
from tests.fixtures.everything_server import Era, everything_server
from tests.fixtures.login import access_token
from tests.fixtures.node import CONFORMANCE, authorization_server
from tests.fixtures.processes import run

pytestmark = pytest.mark.timeout(150)

# Results of one scenario go to a folder of its name and the time of its start.
_FOLDER = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT.*")
_SUITE_S = 100               # it takes ten where nothing else runs


class Check(msgspec.Struct, frozen=True):
    """One check of a scenario. `error` says what is wrong."""

    id: str
    status: str
    error: str = msgspec.field(default="", name="errorMessage")


Findings = dict[str, list[Check]]
_checks = msgspec.json.Decoder(list[Check])


@pytest.mark.parametrize(
    "selection, scenarios",
    [
        (("--requirements", "2025-11-25"), 33),
        (("--spec-version", "2025-06-18"), 27),
        (("--spec-version", "2025-03-26"), 1),
    ],
    ids=["required by 2025-11-25", "applicable to 2025-06-18", "applicable to 2025-03-26"],
)
async def test_every_scenario_that_passes_directly_passes_through_longshore(
    tmp_path: Path, selection: tuple[str, str], scenarios: int
) -> None:
    async with (
        everything_server(tmp_path) as url,
        one_of_each(tmp_path, [server("everything", url)]) as (_, gateway),
    ):
        direct, through = await asyncio.gather(
            _findings(url, selection, tmp_path / "direct"),
            _findings(gateway.mount("everything"), selection, tmp_path / "through"),
        )

    assert len(direct) == scenarios
    assert _shortcomings(direct) == {}
    assert _shortcomings(through) == {}
    assert _outcomes(through) == _outcomes(direct)


async def test_every_scenario_of_the_modern_revision_passes_directly_and_through_longshore(tmp_path: Path) -> None:
    """But for tasks, an extension that the server has not: there both find the same, check by check."""
    selection = ("--requirements", "2026-07-28")
    async with (
        everything_server(tmp_path) as url,
        one_of_each(tmp_path, [server("everything", url)]) as (_, gateway),
    ):
        direct, through = await asyncio.gather(
            _findings(url, selection, tmp_path / "direct", _TASKS),
            _findings(gateway.mount("everything"), selection, tmp_path / "through", _TASKS),
        )

    assert len(direct) == 50
    assert _shortcomings(direct).keys() == _TASKS
    assert _shortcomings(through).keys() == _TASKS
    assert _outcomes(through) == _outcomes(direct)


_TASKS = {
    "tasks-capability-negotiation", "tasks-dispatch-and-envelope", "tasks-lifecycle", "tasks-mrtr-composition",
    "tasks-mrtr-input", "tasks-request-headers", "tasks-request-state-removal", "tasks-required-task-error",
    "tasks-status-notifications", "tasks-wire-fields",
}


@pytest.mark.parametrize(
    ("era", "requirements", "scenarios", "without_meaning"),
    [
        ("legacy", "2026-07-28", 50, _TASKS | {
            # The suite looks for keys that the server chose: one that asks by requests has none to choose.
            "input-required-result-basic-elicitation", "input-required-result-ignore-extra-params",
            "input-required-result-multiple-input-requests",
        }),
        ("modern", "2025-11-25", 33, {"server-sse-polling"}),
    ],
    ids=["a legacy server, the modern suite", "a modern server, the legacy suite"],
)
async def test_every_scenario_that_has_a_meaning_across_eras_passes(
    tmp_path: Path, era: Era, requirements: str, scenarios: int, without_meaning: set[str]
) -> None:
    """The suite of one revision, against a server that speaks the other alone."""
    async with (
        everything_server(tmp_path, era) as url,
        one_of_each(tmp_path, [server("everything", url)]) as (_, gateway),
    ):
        selection = ("--requirements", requirements)
        through = await _findings(gateway.mount("everything"), selection, tmp_path / "through", without_meaning)

    assert len(through) == scenarios
    assert _shortcomings(through).keys() == without_meaning


async def test_every_required_scenario_passes_with_authorization_on(tmp_path: Path) -> None:
    """The suite itself sends no credential: what stands between it and the gateway adds one, from a real login."""
    selection, base = ("--requirements", "2025-11-25"), "http://127.0.0.1:${TEST_PORT}"
    async with everything_server(tmp_path) as url, authorization_server(tmp_path) as issuer:
        oauth = {"issuer": issuer, "scopes": ["files:use"]}
        core = {"public_base_url": base, "auth": {"enabled": True, "oauth": oauth}}
        async with one_of_each(tmp_path, [server("everything", url)], core=core) as (_, gateway):
            mount = gateway.mount("everything")
            token = await access_token(mount)
            async with round_robin([int(gateway.base.rsplit(":", 1)[1])]) as between:
                between.adds = f"Authorization: Bearer {token}\r\n".encode()
                found = await _findings(f"{between.base}/mcp/everything", selection, tmp_path / "through")

    assert len(found) == 33
    assert _shortcomings(found) == {}


async def test_the_suite_has_no_scenario_of_its_own_for_servers_with_authorization(tmp_path: Path) -> None:
    """Else it should be run above. All that it has are for clients or for authorization servers."""
    with run([*CONFORMANCE, "list"], folder=tmp_path) as suite:
        await asyncio.to_thread(suite.wait, within_s=_SUITE_S)
        listed = suite.output()

    of_servers, of_clients = listed.split("Client scenarios")
    assert "  - server-initialize " in of_servers
    assert re.findall("auth|oauth|token|scope", of_servers) == []
    assert "  - auth/scope-step-up " in of_clients


async def _findings(url: str, selection: tuple[str, str], folder: Path, failing: Set[str] = frozenset()) -> Findings:
    """Run the selected scenarios against `url`. Every check that each one made, in its order.

    The suite gives some answers less than a second, which a busy machine may need: a scenario that falls short, and is
    not one of the `failing`, is run once more, by itself.
    """
    found = await _run(url, selection, folder)
    for scenario in _shortcomings(found).keys() - failing:
        alone = ("--scenario", scenario, "--spec-version", selection[1])
        found |= await _run(url, alone, folder.with_name(f"{folder.name}-{scenario}"))
    return found


async def _run(url: str, selection: Sequence[str], folder: Path) -> Findings:
    folder.mkdir()
    results = folder / "results"
    argv: list[str | Path] = [*CONFORMANCE, "server", "--url", url, *selection, "--output-dir", results]
    with run(argv, folder=folder) as suite:
        await asyncio.to_thread(suite.wait, within_s=_SUITE_S)
        output = suite.output()
    assert "=== SUMMARY ===" in output or "Test Results:" in output, output
    found = {}
    for place in results.iterdir():
        named = _FOLDER.fullmatch(place.name)
        assert named is not None, place.name
        written = place / "checks.json"      # a scenario that broke off has written none
        found[named["scenario"]] = _checks.decode(written.read_bytes()) if written.exists() else []
    return found


def _shortcomings(findings: Findings) -> dict[str, list[Check]]:
    """The scenarios that found something wrong, or that found nothing right."""
    return {
        scenario: [check for check in checks if check.status in ("FAILURE", "WARNING")]
        for scenario, checks in findings.items()
        if not {check.status for check in checks} - {"INFO"} <= {"SUCCESS", "SKIPPED"}
        or not any(check.status == "SUCCESS" for check in checks)
    }


def _outcomes(findings: Findings) -> dict[str, list[tuple[str, str]]]:
    """Every verdict. What a check only noted depends on when the client happened to look."""
    return {
        scenario: [(check.id, check.status) for check in checks if check.status != "INFO"]
        for scenario, checks in findings.items()
    }
