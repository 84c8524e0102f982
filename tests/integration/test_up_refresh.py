"""Deletion of state by `longshore up`: all of it at a start that refreshes, and with a Redis that does not persist."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.processes import LONGSHORE, run, until_listening
from tests.integration.up_fixtures import three_free_ports


async def _up_and_down(folder: Path, **state: Any) -> None:
    """Run `longshore up` until its gateway listens."""
    port = three_free_ports()
    with run([*LONGSHORE, "up", "--config", _config(folder, port, **state)], folder=folder) as process:
        await until_listening(process, port)


def _config(folder: Path, port: int, **state: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({
        "core": {"host": "127.0.0.1", "port": port, "admin_port": port + 1, "max_start_wait_seconds": 0},
        "state_persistence": {"reconciliation": {"mode": "disabled"}, **state},
        "storage": {"root": str(folder / "storage"), "orphan_sweeper_enabled": False},
        "servers": [{"id": "a", "mount_path": "/mcp/a", "upstream": {"url": "http://127.0.0.1:9/mcp"}}],
    }))
    return path


def _leave_files(folder: Path) -> tuple[list[Path], Path]:
    """Files that longshore keeps for sessions, and one of another program."""
    root = folder / "storage"
    ours = [
        root / "uploads" / "sessions" / "s" / "u" / "a.txt", root / "artifacts" / "sessions" / "s" / "b" / "a.txt",
        root / "staging" / "x",
    ]
    theirs = root / "uploads" / "notes.txt"
    for path in (*ours, theirs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
    return ours, theirs


@pytest.mark.parametrize("refresh", [True, False])
async def test_a_start_that_refreshes_deletes_records_and_files(tmp_path: Path, refresh: bool) -> None:
    ours, theirs = _leave_files(tmp_path)
    await _up_and_down(tmp_path, type="disk")
    aof = tmp_path / "storage" / "state" / "appendonlydir"
    secret = _kept(aof)

    await _up_and_down(tmp_path, type="disk", refresh_on_startup=refresh)

    assert [path.exists() for path in ours] == [not refresh] * 3
    assert theirs.exists()
    assert secret
    assert (b"FLUSHALL" in _written(aof)) == refresh


def _written(aof: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(aof.iterdir())).upper()


def _kept(aof: Path) -> bool:
    return b"SIGNING_SECRET" in _written(aof)


@pytest.mark.parametrize("kind, stays", [("memory", False), ("disk", True)])
async def test_files_are_deleted_with_a_redis_that_does_not_persist(tmp_path: Path, kind: str, stays: bool) -> None:
    ours, theirs = _leave_files(tmp_path)

    await _up_and_down(tmp_path, type=kind)

    assert [path.exists() for path in ours] == [stays] * 3
    assert theirs.exists()
