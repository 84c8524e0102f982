"""`longshore top`: shows the current activity of gateways and workers, from the metrics at their admin ports."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec
from cyclopts import App, Parameter

from longshore.cli.console import live_view, print_result, print_view
from longshore.cli.errors import StartFailed, WrongUsage
from longshore.cli.figures import Figures, add_metrics
from longshore.cli.ready import base_url
from longshore.cli.settings import ConfigFile, Flag, JsonFlag, find_config_file, read_config
from longshore.cli.top_view import render
from longshore.shared.clock import monotonic_s

app = App(name="top", help="Show the current activity of gateways and workers.", help_format="plaintext")

_TIMEOUT = aiohttp.ClientTimeout(total=3)
_MAX_BYTES = 16 * 1024 * 1024
_NO_METRICS = "{"            # a text that is no metrics


@app.default
def top(
    *,
    url: Annotated[list[str] | None, Parameter(negative="")] = None,
    config: ConfigFile = None,
    once: Flag = False,
    as_json: JsonFlag = False,
    every: float = 2.0,
) -> None:
    """Show the current activity of gateways and workers, until Ctrl-C.

    Parameters
    ----------
    url
        The admin URL of a gateway or worker, such as http://127.0.0.1:8933; repeat it for each one.
        Default: the two on this machine that the configuration names.
    once
        Show it once. This is the default without a terminal.
    every
        Seconds between two updates.
    """
    if every <= 0:
        raise WrongUsage("--every takes a number of seconds above 0")
    urls = [one.rstrip("/").removesuffix("/metrics") for one in url] if url else _configured(config)
    once = once or not (as_json or sys.stdout.isatty())
    try:
        asyncio.run(_once(urls, as_json) if once else _live(urls, as_json, every))
    except KeyboardInterrupt:
        return


def _configured(named: Path | None) -> list[str]:
    core = read_config(find_config_file(named)).core
    if not core.admin_port:
        raise WrongUsage("core.admin_port is 0, so no metrics are served: name the processes with --url")
    return [base_url(core.admin_host, port) for port in (core.admin_port, core.admin_port + 1)]


async def collect(http: aiohttp.ClientSession, urls: list[str]) -> Figures:
    """Collect the metrics of all `urls` concurrently; one without metrics in time is listed as `silent`."""
    figures = Figures()
    for url, text in zip(urls, await asyncio.gather(*(_fetch(http, url) for url in urls)), strict=True):
        try:
            add_metrics(figures, text)
        except (ValueError, KeyError):
            figures.silent.append(url)
    return figures


async def _fetch(http: aiohttp.ClientSession, url: str) -> str:
    """Fetch /metrics of one process; a text that is no metrics on failure."""
    try:
        async with http.get(f"{url}/metrics", headers={"Accept": "text/plain"}) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _MAX_BYTES:
                    return _NO_METRICS
            return body.decode() if answer.status == 200 else _NO_METRICS
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return _NO_METRICS


async def _once(urls: list[str], as_json: bool) -> None:
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
        figures = await collect(http, urls)
    if not figures.answered:
        raise StartFailed(f"no metrics at {', '.join(urls)}: is the service running, and is core.admin_port right?")
    if as_json:
        print_result(msgspec.json.encode(figures).decode())
    else:
        print_view(render(figures))


async def _live(urls: list[str], as_json: bool, every_s: float) -> None:
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as http:
        if as_json:
            while True:
                print_result(msgspec.json.encode(await collect(http, urls)).decode())
                await asyncio.sleep(every_s)
        with live_view() as show:
            before, before_s = None, 0.0
            while True:
                now, now_s = await collect(http, urls), monotonic_s()
                show(render(now, before, now_s - before_s))
                before, before_s = now, now_s
                await asyncio.sleep(every_s)
