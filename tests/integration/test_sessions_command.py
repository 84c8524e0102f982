"""Command `longshore sessions`, beside a real gateway and worker."""

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from longshore.cli.embedded import default_socket, redis_url, server_command, wait_until_ready
from longshore.shared.keys import Keys
from longshore.shared.records import UploadRecord
from longshore.shared.redis.address import parse_redis_url
from longshore.shared.redis.connection import RedisLink
from longshore.shared.state.files import FileStore
from longshore.shared.state.inspect import Inspector
from longshore.shared.state.sessions import SessionLimits, SessionStart, SessionStore
from longshore.shared.tasks import Tasks
from tests.fixtures.gateway import Backing, connected, consumer, entry
from tests.fixtures.processes import BUNDLED_REDIS, REPOSITORY, private_redis, run
from tests.fixtures.redis_servers import short_folder
from tests.fixtures.upstreams import ScriptedUpstream


async def longshore(folder: Path, *words: str) -> tuple[int, str, str]:
    """Run a command of `longshore sessions`: status, stdout, stderr."""
    argv = [sys.executable, "-m", "longshore", "sessions", *words]
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, out.decode(), err.decode()


def config_of(folder: Path, redis_url: str) -> Path:
    path = folder / "operator.yaml"
    path.write_text(yaml.safe_dump({
        "state_persistence": {"type": "redis", "redis": {"url": redis_url}},
        "storage": {"root": str(folder / "storage")},
        "servers": [{"id": "files", "mount_path": "/mcp/files", "upstream": {"url": "http://127.0.0.1:9/mcp"}}],
    }))
    return path


def objects(lines: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line, type=dict[str, Any]) for line in lines.splitlines()]


async def test_an_operator_lists_shows_and_ends_sessions(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    """List, show, end: the client then gets 404, the upstream's session is deleted, the file is gone."""
    config = fresh_backing.config(entry(upstream.url, consumer("read")))
    at = ("--config", str(config_of(fresh_backing.folder, fresh_backing.redis_url)))
    async with connected(config) as client:
        await client.upload_one("bericht ü.txt", b"hello")
        [before] = objects((await longshore(fresh_backing.folder, "list", "--json", *at))[1])

        status, shown, _ = await longshore(fresh_backing.folder, "show", client.session_id, *at)
        _, as_json, _ = await longshore(fresh_backing.folder, "show", client.session_id, "--json", *at)
        [after] = objects((await longshore(fresh_backing.folder, "list", "--json", *at))[1])
        ended, said, _ = await longshore(fresh_backing.folder, "end", client.session_id, *at)

        assert before == after
        assert (before["session_id"], before["server"], before["state"]) == (client.session_id, "files", "live")
        assert (before["files"], before["bytes"], before["in_flight"]) == (1, 5, 0)
        assert before["created_ms"] <= before["touched_ms"]
        assert status == 0
        assert re.search(r"upload +\S{22} +5 +text/plain +bericht ü\.txt", shown)
        assert msgspec.json.decode(as_json)["files"][0]["name"] == "bericht ü.txt"
        assert (ended, said.strip()) == (0, f"ended {client.session_id}, 1 files, 5 bytes")
        assert (await client.request("tools/list")).status == 404
        async with asyncio.timeout(10):
            while fresh_backing.stored():
                await asyncio.sleep(0.05)
        _, gone, _ = await longshore(fresh_backing.folder, "show", client.session_id, *at)
        again, _, error = await longshore(fresh_backing.folder, "end", client.session_id, *at)

    assert "ended: the operator ended it" in gone
    assert again == 1
    assert "has ended (the operator ended it)" in error


@pytest.mark.parametrize("words", [("show", "x" * 22), ("end", "x" * 22), ("end", "../../etc"), ("show", "y" * 10_000)])
async def test_an_unknown_session_is_reported(tmp_path: Path, words: Sequence[str]) -> None:
    with private_redis() as url:
        status, out, error = await longshore(tmp_path, *words, "--config", str(config_of(tmp_path, url)))

    assert (status, out) == (1, "")
    assert error.startswith("no session of this id is known")


async def _state(url: str, tasks: Tasks) -> tuple[RedisLink, Keys]:
    link = RedisLink(parse_redis_url(url), tasks)
    return link, Keys("longshore")


def _start(number: int) -> SessionStart:
    return SessionStart(
        session_id=f"s{number:031}", server="files", principal="me", upstream_id=f"up{number}", protocol="2025-11-25",
        flags="tu", init_params=b"{}", callers_scope="",
    )


def _record(scope: str, number: int) -> UploadRecord:
    return UploadRecord(
        id=f"f{number:021}", scope=scope, server="files", name="a\x1b[2J.txt", stored_name="a.txt",
        media_type="text/plain", size_bytes=10, sha256="0" * 64, created_ms=number,
    )


async def test_purge_ends_a_few_hundred_sessions_and_needs_a_confirmation(tmp_path: Path) -> None:
    """Live and expired ones, over several pages, with the records, leases and bytes of their files."""
    with private_redis() as url:
        tasks = Tasks()
        link, keys = await _state(url, tasks)
        sessions = SessionStore(link, keys, SessionLimits())
        at = ("--config", str(config_of(tmp_path, url)))
        for number in range(250):
            await sessions.create(_start(number))
            await FileStore(link, keys).commit(
                _start(number).session_id, [_record(_start(number).session_id, number)]
            )
        for number in range(0, 250, 5):  # as expiry leaves them
            expired_id = _start(number).session_id
            await link.call("HSET", keys.session(expired_id), "state", "expired")
            await link.call("ZREM", keys.sessions(), expired_id)
            await link.call("ZADD", keys.due(), 9_999_999_999_999, f"t:{expired_id}")
        refused = await longshore(tmp_path, "purge", *at)
        listed = objects((await longshore(tmp_path, "list", "--json", *at))[1])

        done = await longshore(tmp_path, "purge", "--yes", *at)

        left = await link.call("MGET", keys.used_total(), keys.used_bytes(_start(7).session_id))
        counted = await link.call("ZCARD", keys.sessions()), await link.call("ZCARD", keys.queue())
        states = [await link.call("HGET", keys.session(_start(n).session_id), "state") for n in range(250)]
        await link.close()
        await tasks.close()

    assert refused[0] == 2
    assert "--yes" in refused[2]
    assert [view["session_id"] for view in listed] == [_start(n).session_id for n in range(250) if n % 5]
    assert (done[0], done[1].strip()) == (0, "ended 250 sessions")
    assert "no worker is alive" in done[2]
    assert left in ([b"0", None], [None, None])
    assert counted == (0, 250)
    assert states == [b"ended"] * 250


async def test_pages_continue_after_sessions_that_end_meanwhile_and_started_in_the_same_millisecond() -> None:
    with private_redis() as url:
        tasks = Tasks()
        link, keys = await _state(url, tasks)
        sessions = SessionStore(link, keys, SessionLimits())
        for number in range(230):
            await sessions.create(_start(number))
            await link.call("ZADD", keys.sessions(), 1_000 + number // 100, _start(number).session_id)
        seen = []

        async for view in Inspector(link, keys).live():
            seen.append(view.session_id)
            await link.call("ZREM", keys.sessions(), view.session_id)

        assert seen == [_start(number).session_id for number in range(230)]
        await link.close()
        await tasks.close()


async def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    with private_redis() as url:
        tasks = Tasks()
        link, keys = await _state(url, tasks)
        scope = _start(1).session_id
        await SessionStore(link, keys, SessionLimits()).create(_start(1))
        await FileStore(link, keys).commit(scope, [_record(scope, 1)])
        await link.close()
        await tasks.close()

        _, shown, _ = await longshore(tmp_path, "show", scope, "--config", str(config_of(tmp_path, url)))

    assert "\x1b" not in shown
    assert "a�[2J.txt" in shown


async def test_without_a_running_redis_the_message_names_the_cause(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({
        "storage": {"root": str(tmp_path / "storage")},
        "servers": [{"id": "a", "mount_path": "/mcp/a", "upstream": {"url": "http://127.0.0.1:9/mcp"}}],
    }))

    status, _, error = await longshore(tmp_path, "list", "--config", str(config))

    assert status == 1
    assert f"no `longshore up` runs on {tmp_path / 'storage'}" in error


async def test_the_private_redis_of_a_running_up_is_found_by_its_folder() -> None:
    with short_folder() as folder:
        state = folder / "storage" / "state"
        state.mkdir(parents=True)
        config = folder / "config.yaml"
        config.write_text(yaml.safe_dump({
            "storage": {"root": str(folder / "storage")},
            "servers": [{"id": "a", "mount_path": "/mcp/a", "upstream": {"url": "http://127.0.0.1:9/mcp"}}],
        }))
        socket = default_socket(state)
        with run(server_command(BUNDLED_REDIS, state=state, socket=socket, persist=False), folder=folder):
            await wait_until_ready(socket, timeout_s=10)
            tasks = Tasks()
            link, keys = await _state(redis_url(socket), tasks)
            await SessionStore(link, keys, SessionLimits()).create(_start(1))
            await link.close()
            await tasks.close()

            status, listed, _ = await longshore(folder, "list", "--config", str(config))

    assert status == 0
    assert _start(1).session_id in listed
