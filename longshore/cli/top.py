"""`longshore top`: what gateways and workers do now, read from their admin ports."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec
from cyclopts import App, Parameter

from longshore.cli.console import draw, emit, screen
from longshore.cli.errors import StartFailed, WrongUsage
from longshore.cli.figures import Figures, add
from longshore.cli.settings import Overrides, config_file, read
from longshore.cli.top_view import view
from longshore.shared.clock import monotonic_s

app = App(name="top", help="Show what gateways and workers do now.", help_format="plaintext")

_WITHIN = aiohttp.ClientTimeout(total=3)
_MOST_BYTES = 16 * 1024 * 1024
_LOCAL = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  (how to reach what listens on every address)
_Flag = Annotated[bool, Parameter(negative="")]


@app.default
def top(
    *,
    url: Annotated[list[str] | None, Parameter(negative="")] = None,
    config: Path | None = None,
    once: _Flag = False,
    as_json: Annotated[_Flag, Parameter(name="--json")] = False,
    every: float = 2.0,
) -> None:
    """Show what gateways and workers do now, until Ctrl-C.

    Parameters
    ----------
    url
        The admin port of a gateway or worker, such as http://127.0.0.1:8933; again for each further one.
        Without: the two of this machine that the configuration names.
    config
        The configuration file.
    once
        Show it once. So it is where there is no terminal.
    as_json
        One JSON object a line, for scripts.
    every
        Seconds between two looks.
    """
    if every <= 0:
        raise WrongUsage("--every takes seconds, more than 0")
    urls = [one.rstrip("/").removesuffix("/metrics") for one in url] if url else _configured(config)
    once = once or not (as_json or sys.stdout.isatty())
    try:
        asyncio.run(_once(urls, as_json) if once else _live(urls, as_json, every))
    except KeyboardInterrupt:
        return


def _configured(named: Path | None) -> list[str]:
    core = read(config_file(named), Overrides()).core
    if not core.admin_port:
        raise WrongUsage("core.admin_port is 0, so nothing is served: name the ports with --url")
    host = _LOCAL.get(core.admin_host, core.admin_host)
    return [f"http://{host}:{port}" for port in (core.admin_port, core.admin_port + 1)]


async def look(http: aiohttp.ClientSession, urls: list[str]) -> Figures:
    """Ask all at once; those that do not answer in time, or with something else, are `silent`."""
    figures = Figures()
    for url, text in zip(urls, await asyncio.gather(*(_text(http, url) for url in urls)), strict=True):
        try:
            add(figures, text)
        except (ValueError, KeyError):
            figures.silent.append(url)
    return figures


async def _text(http: aiohttp.ClientSession, url: str) -> str:
    """What is at /metrics; nothing that could be read as metrics where there is no answer."""
    try:
        async with http.get(f"{url}/metrics", headers={"Accept": "text/plain"}) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > _MOST_BYTES:
                    return "{"
            return body.decode() if answer.status == 200 else "{"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return "{"


async def _once(urls: list[str], as_json: bool) -> None:
    async with aiohttp.ClientSession(timeout=_WITHIN) as http:
        figures = await look(http, urls)
    if not figures.answered:
        raise StartFailed(f"no metrics at {', '.join(urls)}: is it running, and core.admin_port right?")
    if as_json:
        emit(msgspec.json.encode(figures).decode())
    else:
        draw(view(figures))


async def _live(urls: list[str], as_json: bool, every_s: float) -> None:
    async with aiohttp.ClientSession(timeout=_WITHIN) as http:
        if as_json:
            while True:
                emit(msgspec.json.encode(await look(http, urls)).decode())
                await asyncio.sleep(every_s)
        with screen() as show:
            before, looked_s = None, 0.0
            while True:
                now, now_s = await look(http, urls), monotonic_s()
                show(view(now, before, now_s - looked_s))
                before, looked_s = now, now_s
                await asyncio.sleep(every_s)
