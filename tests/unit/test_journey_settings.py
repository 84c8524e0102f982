"""What the command line says otherwise than the file."""

from pathlib import Path

import pytest

from longshore.cli.settings import Overrides, read_config


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that sets everything that the command line can set otherwise."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "core: {port: 9000, admin_port: 9001}\n"
        "storage: {root: /srv/files}\n"
        "servers: [{id: a, mount_path: /mcp/a, upstream: {url: 'http://127.0.0.1:1/mcp'}}]\n"
    )
    return path


def test_without_options_the_file_holds(file: Path) -> None:
    config = read_config(file, Overrides())

    assert (config.core.port, config.core.admin_port, config.core.shutdown_grace_seconds) == (9000, 9001, 20)
    assert config.storage.root == "/srv/files"


def test_options_win_over_the_file(file: Path) -> None:
    config = read_config(file, Overrides(port=1, admin_port=0, data=Path("/elsewhere"), grace_s=2))

    assert (config.core.port, config.core.admin_port, config.core.shutdown_grace_seconds) == (1, 0, 2)
    assert config.storage.root == "/elsewhere"


def test_a_child_is_told_what_was_set_and_nothing_else() -> None:
    assert Overrides(port=1, admin_port=0).options() == ["--port", "1", "--admin-port", "0"]
    assert Overrides(data=Path("/a b"), grace_s=2).options() == ["--data", "/a b", "--grace-s", "2"]
