"""`longshore doctor`: finds out why clients cannot connect."""

import asyncio
import sys

import aiohttp
from cyclopts import App

from longshore.cli.auth_chain import AuthCheck
from longshore.cli.console import print_result
from longshore.cli.settings import ConfigFile, Flag, find_config_file, read_config
from longshore.shared import log

app = App(name="doctor", help="Find out why clients cannot connect.", help_format="plaintext")


@app.command
def auth(*, token: str | None = None, token_stdin: Flag = False, config: ConfigFile = None) -> None:
    """Check authorization as a client does, from the URL of a mount to the first call, and name the first fault.

    Sends requests to the running service at its public URL, and to the authorization server. Exit status 1 on a fault.

    Parameters
    ----------
    token
        A token to check. Other users of this machine can see it; use --token-stdin if there are any.
    token_stdin
        Read the token from the first line of standard input.
    """
    settings = read_config(find_config_file(config))
    given = sys.stdin.readline().strip() if token_stdin else token
    secrets = (*settings.secrets(), *((given,) if given else ()))
    log.configure("error", secrets=secrets, headers=settings.secret_headers())

    async def check() -> None:
        async with aiohttp.ClientSession() as http:
            await AuthCheck(settings, http, lambda step: print_result(f"ok: {step}")).run(given)

    asyncio.run(check())
    print_result("no fault found")
