"""Command line: exit statuses, and messages that say what to do."""

from pathlib import Path

import pytest
import yaml

from tests.fixtures.processes import LONGSHORE, run

_SERVERS = "servers: [{id: a, mount_path: /mcp/a, upstream: {url: 'http://127.0.0.1:1/mcp'}}]\n"


@pytest.mark.parametrize(
    "options, sentence",
    [
        pytest.param(["up"], "there is no config.yaml", id="no configuration"),
        pytest.param(["up", "--once"], "--once belongs to --demo", id="once alone"),
        pytest.param(["up", "--demo", "--config", "x.yaml"], "--demo brings its own configuration", id="both"),
        pytest.param(["up", "--config", "x.yaml"], "x.yaml has 1 fault", id="no such file"),
        pytest.param(["up", "--nonsense"], "--nonsense", id="unknown option"),
    ],
)
def test_a_wrong_command_line_says_what_to_do(tmp_path: Path, options: list[str], sentence: str) -> None:
    with run([*LONGSHORE, *options], folder=tmp_path, cwd=tmp_path) as process:
        status = process.wait(within_s=20)

    assert status == 2
    assert sentence in process.output()


@pytest.mark.parametrize("service", ["gateway", "worker"])
def test_a_service_alone_refuses_a_private_redis_and_names_longshore_up(tmp_path: Path, service: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(_SERVERS)

    with run([*LONGSHORE, service, "--config", config], folder=tmp_path) as process:
        status = process.wait(within_s=20)

    assert status == 2
    assert "state_persistence.type" in process.output()
    assert "longshore up" in process.output()


def test_check_prints_the_effective_configuration_without_secrets(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("core: {port: 9000, auth: {enabled: true, token: open-sesame-1234}}\n" + _SERVERS)

    with run([*LONGSHORE, "check", "--config", config], folder=tmp_path) as process:
        status = process.wait(within_s=20)
        said = process.output()

    assert status == 0
    assert yaml.safe_load(said)["core"]["port"] == 9000
    assert "open-sesame-1234" not in said


def test_check_names_every_fault_at_once(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("core: {prot: 9000, port: many}\n" + _SERVERS)

    with run([*LONGSHORE, "check", "--config", config], folder=tmp_path) as process:
        status = process.wait(within_s=20)
        said = process.output()

    assert status == 2
    assert "2 faults" in said
    assert "core.prot" in said
    assert "core.port" in said
