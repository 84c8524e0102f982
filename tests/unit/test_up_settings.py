"""Options of the command line that take precedence over the file."""

from pathlib import Path

import pytest

from longshore.cli.settings import Overrides, read_config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration with all keys that the command line can override."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "core: {port: 9000, admin_port: 9001}\n"
        "storage: {root: /srv/files}\n"
        "servers: [{id: a, mount_path: /mcp/a, upstream: {url: 'http://127.0.0.1:1/mcp'}}]\n"
    )
    return path


def test_without_options_the_values_of_the_file_are_used(file: Path) -> None:
    config = read_config(file, Overrides())

    assert (config.core.port, config.core.admin_port, config.core.shutdown_grace_seconds) == (9000, 9001, 20)
    assert config.storage.root == "/srv/files"


def test_options_take_precedence_over_the_file(file: Path) -> None:
    config = read_config(file, Overrides(port=1, admin_port=0, data=Path("/elsewhere"), grace_s=2))

    assert (config.core.port, config.core.admin_port, config.core.shutdown_grace_seconds) == (1, 0, 2)
    assert config.storage.root == "/elsewhere"


def test_a_child_gets_the_given_options_and_no_others() -> None:
    assert Overrides(port=1, admin_port=0).options() == ["--port", "1", "--admin-port", "0"]
    assert Overrides(data=Path("/a b"), grace_s=2).options() == ["--data", "/a b", "--grace-s", "2"]
