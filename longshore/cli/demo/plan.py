"""Plan of `longshore up --demo`: data folder, upstream server, configuration, and the steps to show."""

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from longshore.cli import processes
from longshore.cli.console import Console
from longshore.cli.demo import config
from longshore.cli.demo.clients import recipes
from longshore.cli.errors import StartFailed
from longshore.cli.settings import Overrides
from longshore.cli.up import Plan

DATA = Path(".longshore")
PORT = 8932


@contextmanager
def demo_plan(data: Path, *, port: int, once: bool, env: Mapping[str, str], started_s: float) -> Iterator[Plan]:
    """Make the plan; the upstream's listening socket is open while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        file = _write_config(data.absolute(), upstream=url, port=port)
        yield Plan(
            config_file=file,
            overrides=Overrides(),
            started_s=started_s,
            children=(processes.demo_upstream(listening.fileno(), data.absolute() / "upstream.log", env),),
            on_ready=_journey if once else _journey_then_recipes,
            keep_running=not once,
        )


def _write_config(data: Path, *, upstream: str, port: int) -> Path:
    file = data / "demo.yaml"
    text = config.render(root=str(data / "storage"), upstream=upstream, port=port, admin_port=port + 1)
    try:
        data.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as err:
        raise StartFailed(f"the data folder {data} cannot be used: {err.strerror}; name another with --data") from err
    return file


async def _journey(console: Console, base: str) -> None:
    from longshore.cli.demo.journey import run_journey

    logging.getLogger("mcp").setLevel(logging.CRITICAL)  # a failing step reports the errors of the client
    console.title("send a file to a tool, get a file from a tool")
    await run_journey(console, base + config.MOUNT)


async def _journey_then_recipes(console: Console, base: str) -> None:
    await _journey(console, base)
    console.title("connect your own client")
    for recipe in recipes(f"longshore-{config.SERVER_ID}", base + config.MOUNT):
        console.step(f"{recipe.client}, {recipe.where}:")
        console.paste(f"{recipe.text}\n")
    console.title(f"{base + config.MOUNT} runs until Ctrl-C")
