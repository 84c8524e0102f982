"""The files of the compose stack agree with each other and with their own tools."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures import node
from tests.fixtures.processes import LONGSHORE, REPOSITORY, run
from tests.integration import compose

_DOCKERFILES = ["deploy/Dockerfile", "deploy/playwright/Dockerfile"]


@pytest.mark.parametrize("name", _DOCKERFILES)
def test_hadolint_finds_nothing_in_a_dockerfile(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")

    result = subprocess.run(
        [hadolint, "--failure-threshold", "style", REPOSITORY / name], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_images_are_pinned_and_ours_run_as_an_ordinary_user() -> None:
    services = compose.document({})["services"]
    bases = [base for name in _DOCKERFILES for base in _instructions(name, "FROM")]
    foreign = [one["image"] for one in services.values() if "build" not in one]

    for image in bases + foreign:
        tag = image.partition(":")[2]
        assert any(digit.isdigit() for digit in tag), f"{image} moves"
    for name in _DOCKERFILES:
        assert _instructions(name, "USER")[-1:] == ["1000:1000"]
    assert {services[name]["user"] for name in ("gateway", "worker", "playwright")} == {"1000:1000"}


def test_every_variable_has_a_default_and_only_what_people_open_is_published() -> None:
    services = compose.document({})["services"]

    published = {name: one["ports"] for name, one in services.items() if "ports" in one}

    assert published == {
        "balancer": ["127.0.0.1:8932:8932"], "prometheus": ["127.0.0.1:9090:9090"], "grafana": ["127.0.0.1:3000:3000"],
    }
    assert not [name for name, one in services.items() if "container_name" in one], "would stop --scale"


def test_a_token_switches_authentication_on() -> None:
    without = compose.service("gateway", {}).environment
    with_one = compose.service("gateway", {"LONGSHORE_TOKEN": "made-up"}).environment

    assert (without["LONGSHORE_TOKEN"], without["LONGSHORE_AUTH"]) == ("", "")
    assert (with_one["LONGSHORE_TOKEN"], with_one["LONGSHORE_AUTH"]) == ("made-up", "true")


def test_prometheus_asks_dns_for_every_replica_at_the_port_they_listen_on() -> None:
    scrapes = yaml.safe_load((REPOSITORY / "deploy" / "prometheus.yml").read_text())["scrape_configs"]
    services = compose.document({})["services"]

    asked = {tuple(one["names"]): one for scrape in scrapes for one in scrape["dns_sd_configs"]}

    assert set(asked) == {("gateway",), ("worker",)}
    for (name,), one in asked.items():
        assert one["type"] == "A"
        assert str(one["port"]) == services[name]["environment"]["LONGSHORE_ADMIN_PORT"]
        assert set(services[name]["networks"]) & set(services["prometheus"]["networks"])


def test_the_storage_volume_is_one_and_the_same_for_all_who_touch_files() -> None:
    services = compose.document({})["services"]

    mounts = [services[name]["volumes"][-1] for name in ("gateway", "worker", "playwright")]

    assert set(mounts) == {"storage:/data/shared"}


@pytest.mark.parametrize("name", ["tests/node", "deploy/playwright"])
def test_node_locks_name_no_registry(name: str) -> None:
    """A lock that names hosts would bind everybody to the registry it was made with."""
    lock = (REPOSITORY / name / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert "registry" not in lock
    assert '"integrity"' in lock


def test_the_browser_server_knows_every_option_that_the_stack_gives_it(tmp_path: Path) -> None:
    command = compose.document({})["services"]["playwright"]["command"]

    with run([*node.PLAYWRIGHT, "--help"], folder=tmp_path) as process:
        status = process.wait(within_s=20)

    assert status == 0
    known = set(re.findall(r"--[a-z-]+", process.output()))
    assert {option.partition("=")[0] for option in command} <= known


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    """`.dockerignore` lets through what it names; a package that is not copied would be missing at run time."""
    copied = [
        source
        for line in (REPOSITORY / "deploy" / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    let_through = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line[:1] == "!"]
    package = REPOSITORY / "longshore"
    linked = {part.resolve().name for part in package.iterdir() if part.is_symlink()}

    assert sorted(copied) == sorted(let_through)
    assert all((REPOSITORY / source).exists() for source in copied)
    assert {"longshore", "gateway", "shared", "storage_worker"} == {"longshore", *linked} <= set(copied)


def test_the_stack_runs_the_browser_server_that_the_tests_run() -> None:
    versions = {
        yaml.safe_load((REPOSITORY / name / "package.json").read_text())["dependencies"]["@playwright/mcp"]
        for name in ("tests/node", "deploy/playwright")
    }

    assert len(versions) == 1


def test_check_accepts_the_configuration_of_the_stack(tmp_path: Path) -> None:
    gateway = compose.service("gateway", {})
    path = gateway.mounts["/etc/longshore/config.yaml"]

    with run([*LONGSHORE, "check", "--config", path], folder=tmp_path, env=gateway.environment) as process:
        status = process.wait(within_s=20)

    assert status == 0, process.output()


def test_docker_compose_reads_the_file() -> None:
    services: dict[str, Any] = compose.document({})["services"]
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no docker with the compose plugin on PATH")

    result = subprocess.run(
        [docker, "compose", "--file", compose.FILE, "config", "--services"], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) == set(services)


def test_haproxy_reads_the_balancers_file() -> None:
    haproxy = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if haproxy is None:
        pytest.skip("there is no haproxy on PATH, and tests/setup.sh could not install one")

    result = subprocess.run(
        [haproxy, "-c", "-f", REPOSITORY / "deploy" / "haproxy.cfg"], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr


def _instructions(dockerfile: str, word: str) -> list[str]:
    return re.findall(rf"^{word} (\S+)", (REPOSITORY / dockerfile).read_text(), re.MULTILINE)
