"""`longshore doctor`: finds out why clients cannot do what they should."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import aiohttp
from cyclopts import App, Parameter

from longshore.cli.auth_chain import Walk
from longshore.cli.console import emit
from longshore.cli.settings import Overrides, config_file, read
from longshore.shared import log

app = App(name="doctor", help="Find out why clients cannot do what they should.", help_format="plaintext")

_Flag = Annotated[bool, Parameter(negative="")]


@app.command
def auth(*, token: str | None = None, token_stdin: _Flag = False, config: Path | None = None) -> None:
    """Walk the way of a client from the URL of a mount to its first call, and name the first thing that is wrong.

    Asks the running service by its public URL, and the authorization server. Exit status 1 when something is wrong.

    Parameters
    ----------
    token
        A token to try. Other users of this machine can see it; use the next option where there are any.
    token_stdin
        Try the token on the first line of standard input.
    config
        The configuration file that the service runs with.
    """
    settings = read(config_file(config), Overrides())
    offered = sys.stdin.readline().strip() if token_stdin else token
    secrets = (*settings.secrets(), *((offered,) if offered else ()))
    log.configure("error", secrets=secrets, headers=settings.secret_headers())

    async def walk() -> None:
        async with aiohttp.ClientSession() as http:
            await Walk(settings, http, lambda step: emit(f"ok: {step}")).all(offered)

    asyncio.run(walk())
    emit("nothing is wrong")
