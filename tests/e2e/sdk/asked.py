# mypy: ignore-errors
"""Answers all that a server asks in the middle of calls and reports what came of it as one line of JSON.

Usage: python asked.py URL
"""

import sys

import anyio
import pydantic_core
from session import GENERATION, Heard, connected, types

report = {}
heard = Heard()
asked = []


async def _elicit(context, params):
    asked.append(getattr(params, "mode", "form") or "form")
    if asked[-1] == "url":
        return types.ElicitResult(action="accept")
    return types.ElicitResult(action="accept", content={"name": "Ada"})


async def main(url):
    steps = []

    async def progressed(progress, total, message):
        steps.append([progress, total])

    async with connected(url, heard, elicit=_elicit) as (session, _):
        report["greeted"] = await _said(session, "greet", {}, progress_callback=progressed)
        report["surveyed"] = await _said(session, "survey", {"harbour": "Brest"})
        report["loggedIn"] = await _said(session, "log_in", {})
        report["prompt"] = (await session.get_prompt("personal")).messages[0].content.text
        report["read"] = (await session.read_resource("log://Brest")).contents[0].text
        report["again"] = await _said(session, "tide", {"harbour": "Brest"})
    report["steps"] = steps
    report["asked"] = asked
    report["done"] = len(heard.completed)
    report["generation"] = GENERATION
    sys.stdout.buffer.write(pydantic_core.to_json(report, by_alias=True, exclude_none=True) + b"\n")


async def _said(session, name, arguments, **options):
    return (await session.call_tool(name, arguments, **options)).content[0].text


anyio.run(main, sys.argv[1])
