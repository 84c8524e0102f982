# mypy: ignore-errors
"""Makes calls in one session until a file appears; each that fails is made once more. Reports one line of JSON.

Usage: python loop.py URL FILE
"""

import sys
from pathlib import Path

import anyio
import pydantic_core
from session import Heard, connected

KINDS = {
    "plain": lambda session: session.call_tool("test_simple_text"),
    "progress": lambda session: session.call_tool("test_tool_with_progress"),
    "sampling": lambda session: session.call_tool("test_sampling", {"prompt": "x"}),
    "tools": lambda session: session.list_tools(),
    "read": lambda session: session.read_resource("test://static-text"),
    "prompts": lambda session: session.list_prompts(),
}
EXPECTED = {
    "plain": lambda said: said.content[0].text.startswith("This is a simple"),
    "progress": lambda said: said.content[0].text == "progressed",
    "sampling": lambda said: said.content[0].text == "LLM response: sampled: x",
    "tools": lambda said: len(said.tools) > 10,
    "read": lambda said: len(said.contents) == 1,
    "prompts": lambda said: len(said.prompts) == 2,
}


async def main(url, file):
    heard, report = Heard(), {"calls": 0, "retried": [], "lost": []}
    async with connected(url, heard, timeout_s=4.0) as (session, _):
        while not Path(file).exists():
            for kind, call in KINDS.items():
                report["calls"] += 1
                if (first := await _outcome(kind, call, session)) is not True:
                    report["retried"].append(f"{kind}: {first}")
                    if (second := await _outcome(kind, call, session)) is not True:
                        report["lost"].append(f"{kind}: {second}")
    report["retried"] += heard.retried
    sys.stdout.buffer.write(pydantic_core.to_json(report) + b"\n")


async def _outcome(kind, call, session):
    try:
        with anyio.fail_after(6):
            return EXPECTED[kind](await call(session))
    except Exception as err:  # noqa: BLE001  (it is reported)
        return repr(err)


anyio.run(main, *sys.argv[1:])
