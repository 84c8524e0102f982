# mypy: ignore-errors
"""Uses each feature of the everything-server once and reports as one line of JSON which work, or what went wrong.

Runs in the environment of requirements/mcp1.txt as well. Usage: python features.py URL auto|legacy|2026-07-28
"""

import sys
import uuid
from contextlib import asynccontextmanager

import anyio
import mcp
import pydantic_core
from session import GENERATION, Heard, _elicit, _sample, connected, types

WATCHED = "test://watched-resource"
heard = Heard()


@asynccontextmanager
async def opened(url, mode):
    """A client, and whether it speaks the modern revision."""
    if GENERATION == 1:
        async with connected(url, heard) as (session, _):
            yield session, False
        return
    client = mcp.Client(
        url, mode=mode, sampling_callback=_sample, elicitation_callback=_elicit, message_handler=heard.message,
        read_timeout_seconds=20.0,
    )
    async with client:
        yield client, client.protocol_version == "2026-07-28"


async def main(url, mode):
    report = {}
    async with opened(url, mode) as (client, is_modern):
        report["modern"] = is_modern
        for name, use in FEATURES.items():
            try:
                with anyio.fail_after(20):
                    report[name] = await use(client, is_modern)
            except Exception as err:  # noqa: BLE001  (it is reported)
                report[name] = repr(err)[:300]
    sys.stdout.buffer.write(pydantic_core.to_json(report) + b"\n")


async def tools(client, is_modern):
    listed = [tool.name for tool in (await client.list_tools()).tools]
    said = await text(client, "test_simple_text")
    return "test_simple_text" in listed and said.startswith("This is a simple text")


async def progress(client, is_modern):
    steps = []

    async def progressed(step, total, message):
        steps.append(step)

    await client.call_tool("test_tool_with_progress", {}, progress_callback=progressed)
    return steps == [0, 50, 100] or steps


async def resources(client, is_modern):
    listed = [str(entry.uri) for entry in (await client.list_resources()).resources]
    read = (await client.read_resource("test://static-text")).contents[0].text
    return "test://static-text" in listed and read.startswith("This is the content")


async def prompts(client, is_modern):
    listed = [prompt.name for prompt in (await client.list_prompts()).prompts]
    said = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    return "test_simple_prompt" in listed and "arg1='a'" in said.messages[0].content.text


async def elicitation(client, is_modern):
    said = await text(client, "test_elicitation", {"message": "who?"})
    return said == "Elicitation completed: action=decline, content=None" or said


async def sampling(client, is_modern):
    said = await text(client, "test_sampling", {"prompt": "name a port"})
    return said == "LLM response: sampled: name a port" or said


async def cancellation(client, is_modern):
    """Leaves the call at its first progress, and asks the server until it knows."""
    mark = uuid.uuid4().hex
    with anyio.CancelScope() as scope:

        async def progressed(step, total, message):
            scope.cancel()

        call = getattr(client, "_request_id", None)
        await client.call_tool("test_waiting", {"mark": mark}, progress_callback=progressed)
    if GENERATION == 1:                          # the SDK does not say so itself
        params = types.CancelledNotificationParams(requestId=call, reason="enough")
        note = types.CancelledNotification(method="notifications/cancelled", params=params)
        await client.send_notification(types.ClientNotification(note))
    while await text(client, "test_was_cancelled", {"mark": mark}) != "yes":
        await anyio.sleep(0.05)
    return True


async def subscription(client, is_modern):
    return await told(client, is_modern, "test_announcements", WATCHED, resource_subscriptions=[WATCHED])


async def list_changed(client, is_modern):
    method = "notifications/tools/list_changed"
    return await told(client, is_modern, "test_trigger_tool_change", method, tools_list_changed=True)


async def told(client, is_modern, tool, change, **wanted):
    """True if the client receives a change that `tool` makes; again where a stream opened too late for it."""
    if is_modern:
        async with client.listen(**wanted) as subscription, anyio.create_task_group() as group:
            group.start_soon(_until_told, client, tool, lambda: False)
            async for _ in subscription:
                group.cancel_scope.cancel()
                return True
            return "the stream ended"
    heard.changes.clear()
    if change == WATCHED:
        await client.subscribe_resource(WATCHED)
    await _until_told(client, tool, lambda: change in heard.changes)
    return True


async def _until_told(client, tool, has_come):
    while not has_come():
        await client.call_tool(tool, {})
        with anyio.move_on_after(0.5):
            while not has_come():
                await anyio.sleep(0.02)


async def text(client, name, arguments=None):
    return (await client.call_tool(name, arguments or {})).content[0].text


FEATURES = {
    "tools": tools, "progress": progress, "resources": resources, "subscription": subscription, "prompts": prompts,
    "elicitation": elicitation, "sampling": sampling, "cancellation": cancellation, "list-changed": list_changed,
}
anyio.run(main, *sys.argv[1:])
