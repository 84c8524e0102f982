"""Cost of wrong tokens: the gateway's CPU for a refusal, and the others' time while one address sends many."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import yaml

from longshore.shared.clock import monotonic_s
from tests.bench import cpu, messages
from tests.bench.report import Report, middle
from tests.bench.stand import Way
from tests.fixtures.processes import LONGSHORE, REPOSITORY, Process, free_port, private_redis, run, until_listening

_PATH = "/mcp/echo"
_TOKEN = b"Authorization: Bearer the-right-token\r\nX-Forwarded-For: 192.0.2.1\r\n"
_CROWD = 16
_OTHERS = 4
_THINKING_S = 0.01


@dataclass(frozen=True)
class _Run:
    per_second: float
    cpu_us: float
    p99_ms: float


async def measure(*, rounds: int, seconds: float) -> Report:
    """Calls alone for the capacity; then a few callers alone and beside a flood at half of it, in turn."""
    async with _gateway() as (process, port):
        way = Way("longshore", _PATH, (port,), (process,))
        call = await _call(way, port)
        full = await _load(process, port, call, callers=_CROWD, seconds=seconds)
        alone, flooded, refused_us, reached = [], [], [], 0.0
        for _ in range(rounds):
            alone.append(await _load(process, port, call, callers=_OTHERS, seconds=seconds, thinking_s=_THINKING_S))
            before_s = cpu.used_s([process.pid])
            flood = await _flood(port, full.per_second / 2, seconds + 0.5)
            beside = await _load(process, port, call, callers=_OTHERS, seconds=seconds, thinking_s=_THINKING_S)
            reached = float((await flood.communicate())[0])
            used_us = (cpu.used_s([process.pid]) - before_s) * 1e6
            calls_us = beside.per_second * seconds * alone[-1].cpu_us
            refused_us.append((used_us - calls_us) / (reached * (seconds + 0.5)))
            flooded.append(beside)
    report = Report("auth", "wrong tokens from one address at half of the gateway's capacity", ("", "alone", "beside"))
    p99 = [middle([one.p99_ms for one in runs]) for runs in (alone, flooded)]
    report.rows.extend([
        ("p99 of others, ms", *p99), ("times", 1.0, p99[1] / p99[0]), ("calls/s at full load", full.per_second, None),
        ("refusals/s", None, reached), ("CPU µs a call, a refusal", full.cpu_us, middle(refused_us)),
        ("a refusal in terms of a call", None, middle(refused_us) / full.cpu_us),
    ])
    return report


async def _flood(port: int, rate: float, seconds: float) -> asyncio.subprocess.Process:
    argv = [sys.executable, "-m", "tests.bench.flood", str(port), _PATH, str(rate), str(seconds)]
    return await asyncio.create_subprocess_exec(*argv, stdout=-1, cwd=REPOSITORY)


async def _call(way: Way, port: int) -> bytes:
    """A call with the right token, in a session of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_with_token(messages.handshake(way, port)[0]))
    head = await reader.readuntil(b"\r\n\r\n")
    session = next(line[16:] for line in head.split(b"\r\n") if line.lower().startswith(b"mcp-session-id: "))
    writer.close()
    await writer.wait_closed()
    return _with_token(messages.call(way, port, session))


def _with_token(request: bytes) -> bytes:
    return request.replace(b"User-Agent: bench\r\n", _TOKEN)


async def _load(
    process: Process, port: int, call: bytes, *, callers: int, seconds: float, thinking_s: float = 0.0
) -> _Run:
    times_ms: list[float] = []
    before_s, begun_s = cpu.used_s([process.pid]), monotonic_s()

    async def caller() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (now_s := monotonic_s()) - begun_s < seconds:
            writer.write(call)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = next(line[16:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
            _ = await reader.readexactly(int(length))
            times_ms.append((monotonic_s() - now_s) * 1000)
            await asyncio.sleep(thinking_s)
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    used_us = (cpu.used_s([process.pid]) - before_s) * 1e6
    return _Run(len(times_ms) / (monotonic_s() - begun_s), used_us / len(times_ms), quantiles(times_ms, n=100)[98])


@asynccontextmanager
async def _gateway() -> AsyncIterator[tuple[Process, int]]:
    """One gateway with auth before the upstream of the other benches."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as running:
        folder, upstream_port, port = Path(name), free_port(), free_port()
        argv = [sys.executable, "-m", "tests.bench.echo_upstream", str(upstream_port)]
        upstream = running.enter_context(run(argv, folder=folder))
        await until_listening(upstream, upstream_port)
        config = folder / "config.yaml"
        url = f"http://127.0.0.1:{upstream_port}/mcp"
        config.write_text(yaml.safe_dump({
            "core": {
                "host": "127.0.0.1", "admin_port": 0, "trusted_proxies": ["127.0.0.1"],
                "auth": {"enabled": True, "token": "the-right-token"},
            },
            "state_persistence": {"type": "redis", "redis": {"url": running.enter_context(private_redis())}},
            "storage": {"root": str(folder / "storage")},
            "servers": [{"id": "echo", "mount_path": _PATH, "upstream": {"url": url}}],
        }))
        process = running.enter_context(
            run([*LONGSHORE, "gateway", "--config", config, "--port", str(port)], folder=folder)
        )
        await until_listening(process, port)
        yield process, port
