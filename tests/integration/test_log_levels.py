"""Log messages of servers with sessions, for callers who say with each request what they want to hear."""

from typing import Any

import msgspec
from aiohttp import web

from tests.fixtures.gateway import Answer, Backing, Client, connected, entry
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream

_PREFIX = "io.modelcontextprotocol/"
_VERSION = "2026-07-28"
_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class Talkative:
    """Logs what the level of its one session allows, `warning` until another is set."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.level = "warning"
        upstream.behaviours |= {"logging/setLevel": self._set, "tools/call": self.call}

    async def _set(self, seen: Seen) -> Reply:
        self.level = seen.params["level"]
        return result(seen, {})

    async def call(self, seen: Seen) -> web.StreamResponse:
        notes = [
            {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": level, "data": level}}
            for level in _LEVELS[_LEVELS.index(self.level):]
        ]
        events = (b"data: " + msgspec.json.encode(one) + b"\n\n" for one in (*notes, result(seen, {"content": []})))
        return await stream(seen, *events)


async def _heard(client: Client, level: str, workspace: str) -> list[str]:
    """Return the log messages of one call that requests this level; "" for none."""
    meta: dict[str, Any] = {f"{_PREFIX}protocolVersion": _VERSION, f"{_PREFIX}clientCapabilities": {}}
    if level:
        meta[f"{_PREFIX}logLevel"] = level
    head = {
        "MCP-Protocol-Version": _VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "echo",
        "X-Longshore-Workspace": workspace,
    }
    answer = await client.request("tools/call", {"name": "echo", "arguments": {}, "_meta": meta}, head)
    assert answer.status == 200, answer
    return [message["params"]["data"] for message in _messages(answer) if "method" in message]


def _messages(answer: Answer) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line[5:]) for line in answer.body.split(b"\n") if line.startswith(b"data:")]


async def test_the_servers_session_says_as_much_as_anyone_wants(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """It is told when somebody wants more than before, and not again; each hears what it wants."""
    Talkative(upstream)
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        heard = [await _heard(client, level, "levels") for level in ("", "error", "info", "error", "info", "debug")]

    assert heard == [[], list(_LEVELS[4:]), list(_LEVELS[1:]), list(_LEVELS[4:]), list(_LEVELS[1:]), list(_LEVELS)]
    assert [seen.params["level"] for seen in upstream.calls("logging/setLevel")] == ["error", "info", "debug"]


async def test_a_new_session_of_the_servers_is_told_anew(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """After the one before was lost."""
    talkative = Talkative(upstream)
    lost: list[str] = []

    async def forgets(seen: Seen) -> Reply:
        session = seen.request.headers["Mcp-Session-Id"]
        if not lost:
            lost.append(session)
            talkative.level = "warning"
        if session in lost:
            return web.json_response({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "?"}}, status=404)
        return await talkative.call(seen)

    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        before = await _heard(client, "info", "lost-levels")
        upstream.behaviours["tools/call"] = forgets
        await _heard(client, "info", "lost-levels")
        after = await _heard(client, "info", "lost-levels")

    assert before == after == list(_LEVELS[1:])
    sessions = [seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("logging/setLevel")]
    assert len(sessions) == len(set(sessions)) == 2


async def test_a_server_without_levels_is_asked_once(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """The call goes its way."""
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        for _ in range(3):
            await _heard(client, "info", "no-levels")

    assert len(upstream.calls("logging/setLevel")) == 1
    assert len(upstream.calls("tools/call")) == 3
