"""100 MiB by their link, to one client and to eight at once, beside nginx with sendfile for the same bytes."""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from longshore.shared.clock import monotonic_s
from tests.bench import cpu, transfer
from tests.bench.files_stand import FilesStand, files_stand
from tests.bench.report import Cell, Report, middle
from tests.bench.rounds import ratio
from tests.fixtures.processes import free_port, run, until_listening
from tests.fixtures.upstreams import writes

_MIB = 1024 * 1024
_FILE_MIB = 100
_CLIENTS = (1, 8)
_SEARCH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}/served; }}
}}
"""


@dataclass(frozen=True)
class _Served:
    """One server's link to the file, its CPU so far in seconds, and what its runs found."""

    url: str
    used_s: Callable[[], float]
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


async def measure(*, rounds: int, seconds: float) -> Report:
    """Every server a round, back and forth. Each run is one file to each client, however long that takes."""
    columns = ("way", "clients", "MiB/s", "to nginx", "goal", "CPU ms a MiB")
    report = Report("downloads", f"{_FILE_MIB} MiB to each client, from the page cache", columns)
    async with files_stand() as made:
        with ExitStack() as running:
            link = await _artifact(made)
            nginx = await _nginx(made.folder, running)
            started_s, busy_s, ours_s = monotonic_s(), cpu.busy_s(), cpu.ours_s()
            for clients in _CLIENTS:
                served = {"nginx": _Served(*nginx)} if nginx else {}
                served["longshore"] = _Served(link, lambda: cpu.used_s([made.gateway.pid]))
                for number in range(rounds):
                    for one in list(served.values())[::1 if number % 2 == 0 else -1]:
                        await _run(one, clients)
                report.rows.extend(_rows(served, clients))
            foreign = (cpu.busy_s() - busy_s - cpu.ours_s() + ours_s) / (monotonic_s() - started_s)
    if not nginx:
        report.notes.append("nginx is not installed: nothing to compare with")
    report.notes.append(f"other processes took {foreign:.2f} of {cpu.CORES} cores meanwhile")
    return report


async def _run(served: _Served, clients: int) -> None:
    before_s, begun_s = served.used_s(), monotonic_s()
    counts = await transfer.at_once([partial(transfer.get, served.url)] * clients)
    mib = sum(counts) / _MIB
    if mib != clients * _FILE_MIB:
        raise RuntimeError(f"{mib} MiB came")
    served.rates.append(mib / (monotonic_s() - begun_s))
    served.cpu_ms.append((served.used_s() - before_s) * 1000 / mib)


def _rows(served: dict[str, _Served], clients: int) -> list[tuple[Cell, ...]]:
    nginx = middle(served["nginx"].rates) if "nginx" in served else None
    return [
        (
            name, clients, middle(one.rates), ratio(middle(one.rates), nginx) if nginx else None,
            "≥ 1" if name == "longshore" else None, middle(one.cpu_ms),
        )
        for name, one in served.items()
    ]


async def _artifact(made: FilesStand) -> str:
    """The link to a file that a tool has written."""
    made.upstream.behaviours["tools/call"] = writes(os.urandom(_MIB) * _FILE_MIB)
    result = await made.client.call("write", {"path": "large.bin"})
    url: str = result["_meta"]["artifact"]["download_url"]
    return url


async def _nginx(folder: Path, running: ExitStack) -> tuple[str, Callable[[], float]] | None:
    if not shutil.which("nginx", path=_SEARCH):
        return None
    port, served, config = free_port(), folder / "served", folder / "nginx.conf"
    served.mkdir()
    (served / "large.bin").write_bytes(os.urandom(_MIB) * _FILE_MIB)
    config.write_text(_NGINX.format(folder=folder, port=port))
    argv: list[str | Path] = ["/usr/bin/env", "nginx", "-c", config]
    process = running.enter_context(run(argv, folder=folder, env={"PATH": _SEARCH}))
    await until_listening(process, port)
    return f"http://127.0.0.1:{port}/large.bin", lambda: cpu.used_s([process.pid])
