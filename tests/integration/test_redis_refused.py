"""Servers that longshore cannot use: the command ends with a message."""

from pathlib import Path

import pytest
import yaml

from tests.fixtures.processes import LONGSHORE, Process, free_port, run
from tests.fixtures.redis_servers import server


def _config(folder: Path, **state: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({
        "core": {"host": "127.0.0.1", "port": free_port(), "admin_port": 0},
        "state_persistence": state,
        "storage": {"root": str(folder / "storage")},
        "servers": [{"id": "a", "mount_path": "/mcp/a", "upstream": {"url": "http://127.0.0.1:9/mcp"}}],
    }))
    return path


def _ended(process: Process) -> tuple[int, str]:
    return process.wait(within_s=20), process.output()


@pytest.mark.parametrize("command", ["gateway", "worker", "up"])
async def test_a_cluster_is_refused_at_start(tmp_path: Path, command: str) -> None:
    async with server("cluster-enabled yes", f"cluster-port {free_port()}") as cluster:
        config = _config(tmp_path, type="redis", redis={"host": "127.0.0.1", "port": cluster.port})
        with run([*LONGSHORE, command, "--config", config], folder=tmp_path) as process:
            status, output = _ended(process)

    assert status == 1
    assert "this Redis is a cluster, which longshore cannot use" in output
    assert "Traceback" not in output


async def test_wrong_credentials_are_refused_at_start(tmp_path: Path) -> None:
    async with server("requirepass right") as running:
        config = _config(tmp_path, type="redis", redis={"url": f"redis://:wrong-pw@127.0.0.1:{running.port}"})
        with run([*LONGSHORE, "worker", "--config", config], folder=tmp_path) as process:
            status, output = _ended(process)

    assert status == 1
    assert "Redis refuses the configured user or password" in output
    assert "wrong-pw" not in output


@pytest.mark.parametrize("command", ["gateway", "worker", "up"])
def test_no_start_wipes_a_redis_that_others_may_use(tmp_path: Path, command: str) -> None:
    config = _config(tmp_path, type="disk", refresh_on_startup=True)
    env = {"LONGSHORE_REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    with run([*LONGSHORE, command, "--config", config], folder=tmp_path, env=env) as process:
        status, output = _ended(process)

    assert status == 2
    assert "state_persistence.refresh_on_startup" in output
    assert "longshore sessions purge" in output
