# mypy: ignore-errors
"""Uses every feature of a server once and reports what came of it as one line of JSON.

Usage: python tour.py URL fixture|everything
"""

import sys

import anyio
import pydantic_core
from session import GENERATION, Heard, connected, httpx, page, types

report = {}
heard = Heard()


async def main(url, kind):
    async with connected(url, heard) as (session, opening):
        report["opening"] = opening
        with anyio.fail_after(10):
            await heard.listening.wait()
        await {"fixture": _fixture, "everything": _everything}[kind](session)
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Mcp-Session-Id": heard.session_id, "Accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient() as http:
        report["ended"] = (await http.post(url, json=ping, headers=headers)).status_code
    report["retried"] = heard.retried
    sys.stdout.buffer.write(pydantic_core.to_json(report, by_alias=True, exclude_none=True) + b"\n")


async def _fixture(session):
    report["ping"] = await session.send_ping()
    report["tools"] = (await session.list_tools()).tools
    report["simple"] = await session.call_tool("test_simple_text")
    report["failing"] = await session.call_tool("test_error_handling")
    report["missing"] = await _failure(session.call_tool("no_such_tool"))
    report["progress"] = await _progress(session, "test_tool_with_progress")
    await session.set_logging_level("info")
    await session.call_tool("test_tool_with_logging")
    await session.set_logging_level("error")
    await session.call_tool("test_tool_with_logging")
    report["logs"] = heard.logs
    report["sampled"] = await session.call_tool("test_sampling", {"prompt": "name a port"})
    report["elicited"] = await session.call_tool("test_elicitation", {"message": "who?"})
    report["elicitedUrl"] = await session.call_tool("test_elicitation_url")
    report["roots"] = await session.call_tool("test_roots")
    report["seen"] = (await session.call_tool("test_client")).model_dump(mode="json", by_alias=True)
    report["resumed"] = await session.call_tool("test_reconnection")
    report["cancelled"] = await _cancelled(session, "test_tool_with_progress")
    report["resources"] = await _pages(session.list_resources, "resources")
    report["templates"] = await _pages(session.list_resource_templates, "resourceTemplates")
    report["prompts"] = await _pages(session.list_prompts, "prompts")
    report["read"] = await session.read_resource("test://static-binary")
    report["unread"] = await _failure(session.read_resource("test://nowhere"))
    report["prompt"] = await session.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    ref = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
    report["completed"] = await session.complete(ref, {"name": "arg1", "value": "par"})
    await session.subscribe_resource("test://watched-resource")
    await session.call_tool("test_announcements")
    await _until(lambda: len(heard.changes) == 4)
    report["changes"] = heard.changes
    await session.unsubscribe_resource("test://watched-resource")


async def _everything(session):
    # It asks for the roots on the standing stream, and says there that it has them.
    await _until(lambda: any(str(line).startswith("Roots updated") for line in heard.logs))
    report["roots"] = await session.call_tool("get-roots-list", {})
    report["echo"] = await session.call_tool("echo", {"message": "ahoy"})
    report["progress"] = await _progress(session, "trigger-long-running-operation", {"duration": 0.4, "steps": 4})
    asked = {"prompt": "name a port", "maxTokens": 10}
    report["sampled"] = await session.call_tool("trigger-sampling-request", asked)
    report["elicited"] = await session.call_tool("trigger-elicitation-request", {})
    report["cancelled"] = await _cancelled(session, "trigger-long-running-operation", {"duration": 2, "steps": 10})
    report["resources"] = await _pages(session.list_resources, "resources")
    report["templates"] = await _pages(session.list_resource_templates, "resourceTemplates")
    report["prompts"] = await _pages(session.list_prompts, "prompts")
    report["read"] = (await session.read_resource("demo://resource/dynamic/text/7")).contents[0].uri
    report["prompt"] = await session.get_prompt("args-prompt", {"city": "Brest"})
    ref = types.PromptReference(type="ref/prompt", name="completable-prompt")
    report["completed"] = await session.complete(ref, {"name": "department", "value": "E"})
    await session.set_logging_level("debug")
    await session.subscribe_resource("demo://resource/dynamic/text/1")
    await session.call_tool("toggle-subscriber-updates", {})
    await _until(lambda: "demo://resource/dynamic/text/1" in heard.changes, 15)
    await session.call_tool("toggle-subscriber-updates", {})
    report["updated"] = True


async def _progress(session, name, arguments=None):
    steps = []

    async def progressed(progress, total, message):
        steps.append([progress, total])

    result = await session.call_tool(name, arguments or {}, progress_callback=progressed)
    return {"steps": steps, "result": result}


async def _cancelled(session, name, arguments=None):
    """Leaves the call at its first progress, says so where the SDK does not, and sees that the session goes on."""
    left = False
    with anyio.CancelScope() as scope:

        async def progressed(progress, total, message):
            scope.cancel()

        call = getattr(session, "_request_id", None)
        await session.call_tool(name, arguments or {}, progress_callback=progressed)
    left = scope.cancelled_caught
    if GENERATION == 1:
        params = types.CancelledNotificationParams(requestId=call, reason="enough")
        note = types.CancelledNotification(method="notifications/cancelled", params=params)
        await session.send_notification(types.ClientNotification(note))
    await session.send_ping()
    return left


async def _failure(call):
    try:
        result = await call
    except Exception as err:  # noqa: BLE001  (whatever the SDK makes of it is reported)
        return str(err)
    return result


async def _pages(list_page, key):
    found, cursor = [], None
    while True:
        dumped = (await list_page(params=page(cursor))).model_dump(mode="json", by_alias=True, exclude_none=True)
        found.append(dumped[key])
        cursor = dumped.get("nextCursor")
        if not cursor:
            return found


async def _until(look, within_s=10.0):
    with anyio.fail_after(within_s):
        while not look():
            await anyio.sleep(0.02)


anyio.run(main, *sys.argv[1:])
