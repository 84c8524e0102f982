"""`longshore up` as a person runs it: the demonstration, the run until a signal, and the end of all processes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from longshore.cli.console import Console
from longshore.cli.demo.journey import run_journey
from longshore.cli.errors import JourneyFailed
from tests.fixtures.processes import LONGSHORE, free_port, private_redis, run, until_listening
from tests.integration.up_fixtures import (
    READY,
    STAYS_UP,
    child,
    children_of,
    data_of,
    demo,
    end,
    is_running,
    sockets_in,
    three_free_ports,
    until_gone,
    until_healthy_again,
    until_printed,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def test_the_demonstration_carries_a_file_in_and_one_out(tmp_path: Path) -> None:
    with demo(tmp_path, three_free_ports(), "--once") as process:
        status = process.wait(within_s=45)
        output = process.output()

    assert status == 0, output
    for said in (
        READY,
        "demo_get_upload_url",
        "crates.csv: 100 %",
        "handle upload://sessions/",
        "the tool read exactly the bytes that were sent",
        "artifact  artifact://sessions/",
        "the resource and the download are identical",
    ):
        assert said in output
    assert sockets_in(data_of(tmp_path)) == []


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_it_runs_until_a_signal_and_then_nothing_is_left(tmp_path: Path, signum: signal.Signals) -> None:
    port = three_free_ports()
    with demo(tmp_path, port) as process:
        await until_printed(process, STAYS_UP)
        children = children_of(process)
        output = process.output()

        status, took_s = end(process, signum)

    assert len(children) == 4, children
    assert (status, [pid for pid in children if is_running(pid)], sockets_in(data_of(tmp_path))) == (0, [], [])
    assert took_s < 5
    assert f"claude mcp add --transport http longshore-demo http://127.0.0.1:{port}/mcp/demo" in output
    for file in (".vscode/mcp.json", ".cursor/mcp.json", "~/.codex/config.toml"):
        assert file in output


async def test_a_demonstration_that_is_interrupted_has_not_succeeded(tmp_path: Path) -> None:
    with demo(tmp_path, three_free_ports(), "--once") as process:
        await until_printed(process, "list its tools")
        children = children_of(process)

        status, took_s = end(process, signal.SIGINT)

    assert (status, [pid for pid in children if is_running(pid)]) == (1, [])
    assert took_s < 5
    assert "Traceback" not in process.output()


async def test_no_process_outlives_it_when_it_is_killed(tmp_path: Path) -> None:
    with demo(tmp_path, three_free_ports()) as process:
        await until_printed(process, READY)
        children = children_of(process)

        process.kill()
        await until_gone(*children)

    assert len(children) == 4, children


@pytest.mark.parametrize("role", ["longshore gateway", "longshore worker", "-server"])
async def test_a_killed_child_is_restarted_and_files_are_transferred_again(tmp_path: Path, role: str) -> None:
    port = three_free_ports()
    with demo(tmp_path, port) as process:
        await until_printed(process, STAYS_UP)
        killed = child(process, role)
        os.kill(killed, signal.SIGKILL)
        await until_gone(killed)

        await until_healthy_again(port)
        await run_journey(Console(), f"http://127.0.0.1:{port}/mcp/demo")

        assert child(process, role) != killed


async def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with demo(tmp_path, three_free_ports()) as first:
        await until_printed(first, READY)
        with demo(tmp_path, three_free_ports(), "--once") as second:
            status = await asyncio.to_thread(second.wait, within_s=20)
            said = second.output()

        first.check()

    assert status == 1
    assert "another `longshore up` is using" in said
    assert "--data" in said


async def test_a_port_in_use_is_named_with_a_way_out(tmp_path: Path) -> None:
    port = three_free_ports()
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        with demo(tmp_path, port, "--once") as process:
            status = await asyncio.to_thread(process.wait, within_s=20)
            said = process.output()

    assert status == 1
    assert f"port {port} on 127.0.0.1 is in use; choose another with --port" in said


async def test_a_step_that_fails_is_named_with_its_reason(tmp_path: Path) -> None:
    """Without longshore in between, the server of the demonstration has no upload URL."""
    port = free_port()
    code = "import asyncio, socket, sys; from longshore.cli.demo.upstream import serve; "
    code += "asyncio.run(serve(socket.create_server(('127.0.0.1', int(sys.argv[1])))))"
    with run([sys.executable, "-c", code, str(port)], folder=tmp_path) as upstream:
        await until_listening(upstream, port)

        with pytest.raises(JourneyFailed) as failure:
            await run_journey(Console(), f"http://127.0.0.1:{port}/mcp")

    assert str(failure.value) == (
        "the demonstration failed at “list its tools”: the tool demo_get_upload_url is missing"
    )


async def test_an_address_without_an_answer_is_a_failed_step() -> None:
    with pytest.raises(JourneyFailed, match=r"connect to http://127.0.0.1"):
        await run_journey(Console(), f"http://127.0.0.1:{free_port()}/mcp/demo")


async def test_with_a_shared_redis_it_starts_none_and_reports_a_missing_one(tmp_path: Path) -> None:
    port = three_free_ports()
    config = tmp_path / "config.yaml"
    config.write_text(
        f"core: {{host: 127.0.0.1, port: {port}, admin_port: {port + 1}, max_start_wait_seconds: 0}}\n"
        f"storage: {{root: {tmp_path / 'storage'}, lock_mode: file}}\n"
        f"servers: [{{id: away, mount_path: /mcp/away, upstream: {{url: 'http://127.0.0.1:{free_port()}/mcp'}}}}]\n"
    )
    with (
        private_redis() as url,
        run([*LONGSHORE, "up", "--config", config], folder=tmp_path, env={"LONGSHORE_REDIS_URL": url}) as process,
    ):
        await until_printed(process, "/mcp/away")
        await until_printed(process, "degraded:")
        children = children_of(process)
        said = process.output()

        status, _ = end(process, signal.SIGTERM)

    assert sorted(words.split("-m longshore ")[1].split()[0] for words in children.values()) == ["gateway", "worker"]
    assert "away" in said.split("degraded:")[1]
    assert "storage.lock_mode" in said
    assert status == 0
