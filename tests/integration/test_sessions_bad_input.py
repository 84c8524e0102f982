"""Invalid session ids, handles and names of clients: refused with a status and a reason, or stored safely."""

from urllib.parse import quote

import aiohttp
import pytest
from redis.asyncio import Redis

from longshore.shared.keys import Keys
from tests.fixtures.gateway import Answer, Backing, connected, consumer, entry, producer
from tests.fixtures.upstreams import ScriptedUpstream, writes

_LONG = "x" * 10_000
_S, _F = "S" * 32, "F" * 22

_SESSION_IDS = ["", " ", "short", _LONG[:6000], "../../../etc", "a" * 32, "é" * 20, "A" * 31 + "*", "0", "null", "s:*"]

_HANDLES = [
    "upload://", "upload://sessions", "upload://sessions/", f"upload://sessions/{_S}", f"upload://sessions/{_S}/",
    f"upload://sessions/{_S}/{_F}", f"upload://sessions/{_S}/{_LONG}", f"upload://sessions/{_LONG}/{_F}",
    f"upload://sessions/../{_F}", f"upload://sessions/{_S}/..", f"upload://sessions/{_S}/%2e%2e",
    f"upload://sessions/{_S}/{_F}/../../x", f"upload://other/{_S}/{_F}", "upload://sessions/*/*",
    "upload:///etc/passwd", f"upload://sessions/{_S}\0/{_F}",
]

_URIS = [
    "artifact://", f"artifact://sessions/{_S}/{_F}/a.png", f"artifact://sessions/{_S}/{_LONG}/a.png",
    f"artifact://sessions/{_S}/{_F}/{_LONG}", "artifact://sessions/../../etc/passwd", "artifact://%00",
]

_NAMES = [
    "\u2215etc\u2215passwd", "\uff0e\uff0e\uff0fup", "a\u202egnp.exe", "CON", "nul.txt", "LPT1.log", "COM9",
    "x" * 5000 + ".pdf", "ü" * 3000, ".hidden", "trailing. ", "-rf", "a\u200bb.txt", "e\u0301.txt",
]
_PATHS = ["../up", "a/b", "a\\b", "..", "/etc/passwd", "C:\\x", "ü" * 5000]


@pytest.mark.parametrize("session_id", _SESSION_IDS, ids=range(len(_SESSION_IDS)))
async def test_a_session_id_made_up_by_a_client_is_unknown(
    shared_backing: Backing, upstream: ScriptedUpstream, session_id: str
) -> None:
    async with (
        connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client,
        Redis.from_url(shared_backing.redis_url) as redis,
    ):
        before, sent = await redis.dbsize(), len(upstream.seen)
        headers = {"Mcp-Session-Id": session_id.encode().decode("latin-1")}

        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}}
        called = await client.post(call, headers)
        put = await _upload(client.http, f"{client.base}/upload/files", headers)

        assert (called.status, called.reason) == (404, "session_not_found")
        assert put in (400, 404)
        assert await redis.dbsize() == before
        assert await redis.zscore(Keys("longshore").sessions(), session_id) is None
        assert len(upstream.seen) == sent


async def _upload(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> int:
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="a.txt")
    async with http.post(url, data=form, headers=headers) as response:
        return response.status


@pytest.mark.requirement("tools.inputs")
async def test_handles_of_no_file_never_reach_the_tool(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        for handle in _HANDLES:
            answer = await client.call("read", {"path": handle})

            assert answer["isError"] is True, handle
            assert answer["_meta"]["longshore/reason"] == "bad_tool_argument"
    assert upstream.calls("tools/call") == []


async def test_a_uri_of_another_scheme_is_passed_to_the_tool(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Longshore neither resolves nor refuses it."""
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        for said in ("https://example.org/a", "s3://bucket/key", "uploads://sessions/x/y", "C:\\file", _LONG):
            await client.call("read", {"path": said})

            assert upstream.last("tools/call").params["arguments"]["path"] == said


@pytest.mark.requirement("resources.uris")
async def test_uris_of_no_artifact_are_refused(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url, producer("write", expose_as_resource=True)))
    async with connected(config) as client:
        for uri in _URIS:
            answer = await client.request("resources/read", {"uri": uri})

            assert answer.reason in ("invalid_params", "not_found"), uri
            assert "/" + "etc" not in answer.body.decode().replace(uri, "")


@pytest.mark.parametrize("name", _NAMES, ids=range(len(_NAMES)))
async def test_hostile_names_are_stored_safely(
    shared_backing: Backing, upstream: ScriptedUpstream, name: str
) -> None:
    upstream.behaviours["tools/call"] = writes(b"text\n")
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")))
    async with connected(config) as client:
        taken = await client.upload(await client.upload_url(), (name, b"x"))
        made = await client.call("write", {"path": name})
        ours = [path.split("/") for path in shared_backing.stored() if client.session_id in path]

    assert taken.status == 200
    assert "artifact" in made["_meta"]
    assert len(ours) == 2
    for parts in ours:
        assert len(parts) == 5
        assert 1 <= len(parts[-1].encode()) <= 255
        assert not parts[-1].startswith(".")
        assert parts[-1].partition(".")[0].lower() not in ("con", "nul", "lpt1", "com9")


@pytest.mark.parametrize("name", _PATHS, ids=range(len(_PATHS)))
async def test_names_that_are_paths_or_too_long_are_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, name: str
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = await client.upload_url()
        head = {"Content-Type": "multipart/form-data; boundary=b"}
        disposition = f"form-data; name=\"file\"; filename*=UTF-8''{quote(name)}"
        body = f"--b\r\nContent-Disposition: {disposition}\r\n\r\nx\r\n--b--\r\n"
        async with client.http.post(url, data=body.encode(), headers=head) as response:
            answer = Answer(response.status, dict(response.headers), await response.read())

        assert (answer.status, answer.reason) == (400, "bad_request")
        assert [path for path in shared_backing.stored() if client.session_id in path] == []


async def test_a_record_of_a_newer_longshore_is_refused_by_name(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with (
        connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client,
        Redis.from_url(shared_backing.redis_url) as redis,
    ):
        files = Keys("longshore").files(client.session_id)
        await redis.hset(files, _F, b"\x83\xa4type\x63\xa2id\xa3new\xaasize_bytes\x07")
        answer = await client.request(
            "tools/call", {"name": "read", "arguments": {"path": f"upload://sessions/{client.session_id}/{_F}"}}
        )
        await redis.delete(files)

    assert answer.status == 503
    assert "upgrade" in answer.message["error"]["message"]
    assert upstream.calls("tools/call") == []
