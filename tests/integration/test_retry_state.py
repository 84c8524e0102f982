"""Files of calls with input requests between modern clients and servers, whose state is bound to the arguments."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from longshore.gateway.wire import server_requests
from longshore.shared.crypto.sealed_tokens import Sealer
from tests.fixtures.gateway import Backing, Client, connected, consumer, entry, producer
from tests.fixtures.modern import Modern
from tests.fixtures.modern_upstream import DONE, modern_upstream
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result

_CAN: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}}
_ASKED = {"who": {"method": "elicitation/create", "params": {"message": "who?", "requestedSchema": {}}}}
_GIVEN = {"inputResponses": {"who": {"action": "accept", "content": {"name": "Ada"}}}}
_SECRET = "a secret of the tests, long enough to sign with"
_encode = msgspec.json.Encoder().encode
_DATA = "data:text/plain;base64," + base64.b64encode(b"high").decode()


class Binding:
    """Tool that requires input once; the retry must have its state and the same path, which it then writes or reads."""

    def __init__(self, upstream: ScriptedUpstream, *, has_state: bool = True) -> None:
        self.paths: list[str] = []
        self.states: list[str | None] = []
        self._state = {"requestState": "the server's own. state"} if has_state else {}
        upstream.behaviours["tools/call"] = self._behave

    async def _behave(self, seen: Seen) -> Reply:
        path = seen.params["arguments"]["path"]
        self.paths.append(path)
        self.states.append(seen.params.get("requestState"))
        if "inputResponses" not in seen.params:
            return result(seen, {"resultType": "input_required", "inputRequests": _ASKED, **self._state})
        if seen.params["name"] == "write":
            await asyncio.to_thread(Path(path).write_bytes, b"written")
        return result(seen, DONE)


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with modern_upstream() as running:
        yield running


@pytest.fixture
async def client(shared_backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[Client]:
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")))
    async with connected(config, initialize=False) as opened:
        yield opened


async def _call(client: Client, tool: str, path: str, more: dict[str, Any], workspace: str = "rounds") -> Any:
    """Send one request; return its result or error."""
    params = {"name": tool, "arguments": {"path": path}, **more}
    headers = {"X-Longshore-Workspace": workspace}
    message = (await Modern(client).request("tools/call", params, meta=_CAN, headers=headers)).message
    return message.get("result", message.get("error"))


@pytest.mark.parametrize("has_state", [True, False])
async def test_a_retry_gets_the_same_path(
    client: Client, upstream: ScriptedUpstream, has_state: bool
) -> None:
    """The server gets its own state, or none; the file becomes an artifact."""
    tool = Binding(upstream, has_state=has_state)

    asked = await _call(client, "write", "out.txt", {})
    answer = await _call(client, "write", "out.txt", {**_GIVEN, "requestState": asked["requestState"]})
    uri = answer["_meta"]["artifact"]["artifact_uri"]
    read = await Modern(client).result("resources/read", {"uri": uri}, headers={"X-Longshore-Workspace": "rounds"})

    assert asked["inputRequests"] == _ASKED
    assert len(tool.paths) == 2
    assert len(set(tool.paths)) == 1
    assert tool.states == [None, "the server's own. state" if has_state else None]
    assert read["contents"][0]["text"] == "written"


async def test_an_inline_file_is_stored_once(client: Client, upstream: ScriptedUpstream) -> None:
    tool = Binding(upstream)

    asked = await _call(client, "read", _DATA, {})
    answer = await _call(client, "read", _DATA, {**_GIVEN, "requestState": asked["requestState"]})

    assert answer["content"] == DONE["content"]
    assert len(tool.paths) == 2
    assert len(set(tool.paths)) == 1
    assert Path(tool.paths[0]).read_bytes() == b"high"


async def test_a_request_state_is_valid_for_its_caller_and_its_request_until_the_call_ends(
    client: Client, upstream: ScriptedUpstream
) -> None:
    """Forged, of another workspace, arguments or tool, or after the end, it is refused and not forwarded."""
    tool = Binding(upstream)
    asked = await _call(client, "write", "out.txt", {})
    state = asked["requestState"]
    middle = len(state) // 2
    forged = state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1:]
    with_state = {**_GIVEN, "requestState": state}

    refused = [
        await _call(client, "write", "out.txt", {**_GIVEN, "requestState": forged}),
        await _call(client, "write", "out.txt", with_state, "elsewhere"),
        await _call(client, "write", "other.txt", with_state),
        await _call(client, "read", "out.txt", with_state),
        await _call(client, "write", "out.txt", {**_GIVEN, "requestState": "longshore."}),
    ]
    taken = await _call(client, "write", "out.txt", with_state)
    refused.append(await _call(client, "write", "out.txt", with_state))

    assert [error["code"] for error in refused] == [-32602] * 6
    assert {error["data"]["reason"] for error in refused} == {"invalid_request_state"}
    assert taken["_meta"]["artifact"]["artifact_uri"]
    assert len(tool.paths) == 2


@pytest.mark.parametrize(("content", "is_taken"), [
    ([1, None, None, 2**52, "x" * 22, 0, [], True], True), ([1, None, None, 1, "x" * 22, 0, [], True], False),
    ([2, None, None, 2**52, "x" * 22, 0, [], True], False), ([1, None, None], False),
])
async def test_an_expired_state_and_one_of_another_version_are_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, content: list[Any], is_taken: bool
) -> None:
    """It was sealed with the right key, for this caller and this request."""
    tool = Binding(upstream)
    auth = {"auth": {"signing_secret": _SECRET}}
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")), core=auth)
    request = {"params": {"name": "write", "arguments": {"path": "out.txt"}}}
    async with connected(config, initialize=False) as client:
        ticket = await _call(client, "files_get_upload_url", "", {"arguments": {}})
        scope = ticket["structuredContent"]["session_id"]
        digest = server_requests.call_digest("tools/call", _encode(request))
        sealed = msgspec.msgpack.encode([content[0], scope, digest, *content[3:]])
        state = Sealer([_SECRET], "files of a call").seal(sealed)
        answer = await _call(client, "write", "out.txt", {**_GIVEN, "requestState": f"longshore.{state}.own"})

    assert ("x" * 22 in "".join(tool.paths)) is is_taken
    assert is_taken or answer["data"]["reason"] == "invalid_request_state"


async def test_a_call_without_files_keeps_the_state_of_the_server(
    client: Client, upstream: ScriptedUpstream
) -> None:
    """A path that is no handle is not changed."""
    tool = Binding(upstream)

    asked = await _call(client, "read", "/own/path", {})
    await _call(client, "read", "/own/path", {**_GIVEN, "requestState": asked["requestState"]})

    assert asked["requestState"] == "the server's own. state"
    assert tool.states == [None, "the server's own. state"]
