"""Uploads over HTTP, and their handles as paths in tool calls."""

import asyncio
import hashlib
import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest

from tests.fixtures.gateway import Answer, Backing, Client, connected, consumer, entry
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _local(path: str) -> Path:
    return Path(unquote(urlsplit(path).path) if path.startswith("file://") else path)


async def reads(seen: Seen) -> Reply:
    """Tool that returns the content at the path that it receives."""
    given = seen.params["arguments"]["path"]
    paths = given if isinstance(given, list) else [given]
    digests = [_sha256(await asyncio.to_thread(_local(path).read_bytes)) for path in paths]
    return result(seen, {"content": [{"type": "text", "text": ",".join(digests)}]})


async def test_an_upload_answers_in_the_documented_form(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        answer = await client.upload(await client.upload_url(), ("report ü.csv", b"a,b\n1,2\n"))

    shown = answer.message
    upload_id = shown["upload"]["upload_id"]
    handle = f"upload://sessions/{client.session_id}/{upload_id}"
    facts = {
        "upload_id": upload_id, "filename": "report ü.csv", "mime_type": "text/csv", "size_bytes": 8,
        "sha256": _sha256(b"a,b\n1,2\n"),
    }
    assert shown == {
        "server_id": "files", "session_id": client.session_id, "uploads": [{"upload_handle": handle, **facts}],
        "upload_handles": [handle], "count": 1, "upload_handle": handle, "upload": facts,
    }
    stored = shared_backing.root / "uploads" / "sessions" / client.session_id / upload_id / "report ü.csv"
    assert stored.read_bytes() == b"a,b\n1,2\n"


async def test_a_tool_receives_a_path_for_a_handle(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = reads
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        handle = await client.upload_one("a.bin", b"\x00\x01" * 500_000)
        answer = await client.call("read", {"path": handle, "mode": {"keep": [1, None]}})

    assert answer["content"][0]["text"] == _sha256(b"\x00\x01" * 500_000)
    assert upstream.last("tools/call").params["arguments"]["mode"] == {"keep": [1, None]}
    assert "upload://" not in upstream.last("tools/call").body.decode()


async def test_several_files_are_uploaded_at_once_and_passed_as_a_list(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = reads
    contents = [b"one", b"two", b""]
    async with connected(shared_backing.config(entry(upstream.url, consumer("read", uri_prefix=True)))) as client:
        url = await client.upload_url()
        answer = await client.upload(url, *(("same name.txt", content) for content in contents))
        handles = answer.message["upload_handles"]
        said = await client.call("read", {"path": handles})

    assert answer.message["count"] == 3
    assert "upload" not in answer.message
    assert said["content"][0]["text"] == ",".join(_sha256(content) for content in contents)
    assert all(path.startswith("file:///") for path in upstream.last("tools/call").params["arguments"]["path"])


async def test_plain_paths_and_tools_without_adapter_are_not_changed(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        handle = await client.upload_one("a", b"a")
        await client.call("read", {"path": "/srv/own.txt"})
        assert upstream.last("tools/call").params["arguments"] == {"path": "/srv/own.txt"}

        await client.call("echo", {"path": handle})
        assert upstream.last("tools/call").params["arguments"] == {"path": handle}


@pytest.mark.parametrize("spoil", ["other session", "unknown", "malformed", "wrong scheme case"])
async def test_a_bad_handle_is_a_tool_error_with_advice(
    shared_backing: Backing, upstream: ScriptedUpstream, spoil: str
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        handle = await client.upload_one("a", b"a")
        bad = {
            "other session": handle.replace(client.session_id, "Z" * 32),
            "unknown": handle[:-22] + "Z" * 22,
            "malformed": handle + "/../../x",
            "wrong scheme case": "UPLOAD://sessions/nothing",
        }[spoil]
        seen = len(upstream.calls("tools/call"))

        said = await client.call("read", {"path": bad})

        assert said["isError"] is True
        assert "upload" in said["content"][0]["text"]
        assert said["_meta"]["longshore/reason"] == "bad_tool_argument"
        assert len(upstream.calls("tools/call")) == seen


async def test_a_link_works_once(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = await client.upload_url()
        first, second = await asyncio.gather(client.upload(url, ("a", b"a")), client.upload(url, ("b", b"b")))
        third = await client.upload(url, ("c", b"c"))

    assert sorted([first.status, second.status]) == [200, 403]
    assert (third.status, third.reason) == (403, "forbidden")
    assert len(fresh_backing.stored()) == 1


async def test_a_link_that_failed_can_be_used_again(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = await client.upload_url()

        assert (await client.upload(url, ("a", b"a"), sha256="0" * 64)).status == 400
        assert (await client.upload(url, ("a", b"a"), sha256=_sha256(b"a"))).status == 200


@pytest.mark.parametrize("parameter", ["scope", "expires", "nonce", "key", "sig"])
async def test_a_tampered_link_is_403(shared_backing: Backing, upstream: ScriptedUpstream, parameter: str) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = await client.upload_url()
        spoilt = re.sub(rf"({parameter}=)(.)", lambda m: m[1] + ("1" if m[2] != "1" else "2"), url)

        answer = await client.upload(spoilt, ("a", b"a"))

    assert (answer.status, answer.reason) == (403, "forbidden")


async def test_a_link_of_another_server_or_session_is_403(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    other = {**entry(upstream.url, consumer("read")), "id": "other", "mount_path": "/mcp/other"}
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")), other)) as client:
        url = await client.upload_url()
        elsewhere = await client.upload(url.replace("/upload/files", "/upload/other"), ("a", b"a"))
        form = aiohttp.FormData()
        form.add_field("file", b"a", filename="a")
        async with client.http.post(url, data=form, headers={"Mcp-Session-Id": "A" * 32}) as answer:
            foreign = Answer(answer.status, {}, await answer.read())

    assert (elsewhere.status, foreign.status) == (403, 403)


_BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}


def _form(*parts: str) -> bytes:
    return ("".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n").encode()


_FILE = 'Content-Disposition: form-data; name="file"; filename="{}"\r\n\r\nabc'
_BAD_BODIES: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("no file", _form('Content-Disposition: form-data; name="sha256"\r\n\r\n' + "0" * 64), _BOUNDARY, 400, "file"),
    ("unknown field", _form('Content-Disposition: form-data; name="other"\r\n\r\nx'), _BOUNDARY, 400, "field"),
    ("not a form", b"abc", {"Content-Type": "application/octet-stream"}, 415, "multipart"),
    ("no boundary", _form(_FILE), {"Content-Type": "multipart/form-data"}, 400, "boundary"),
    ("other boundary", _form(_FILE), {"Content-Type": "multipart/form-data; boundary=y"}, 400, "malformed"),
    ("truncated", _form(_FILE)[:-10], _BOUNDARY, 400, "malformed"),
    ("empty", b"", _BOUNDARY, 400, "malformed"),
    ("slash in name", _form(_FILE.format("a/b")), _BOUNDARY, 400, "name"),
    ("backslash in name", _form(_FILE.format("a%5C%5Cb").replace("%5C", "\\")), _BOUNDARY, 400, "name"),
    ("latin-1 name", _form(_FILE.format("NAME")).replace(b"NAME", b"\xe9.txt"), _BOUNDARY, 400, "UTF-8"),
    ("dot dot", _form(_FILE.format("..")), _BOUNDARY, 400, "name"),
    ("two files, one sha256",
     _form(_FILE.format("a"), _FILE.format("b"), 'Content-Disposition: form-data; name="sha256"\r\n\r\n' + "0" * 64),
     _BOUNDARY, 400, "sha256"),
    ("sha256 too long",
     _form(_FILE.format("a"), 'Content-Disposition: form-data; name="sha256"\r\n\r\n' + "0" * 5000),
     _BOUNDARY, 400, "sha256"),
    ("sha256 not hex",
     _form(_FILE.format("a"), 'Content-Disposition: form-data; name="sha256"\r\n\r\n' + "g" * 64),
     _BOUNDARY, 400, "sha256"),
    ("sha256 of something else",
     _form(_FILE.format("a"), 'Content-Disposition: form-data; name="sha256"\r\n\r\n' + "0" * 64),
     _BOUNDARY, 400, "sha256"),
    ("base64 part", _form("Content-Transfer-Encoding: base64\r\n" + _FILE.format("a")), _BOUNDARY, 400, "Encoding"),
    ("nested form",
     _form('Content-Type: multipart/mixed; boundary=z\r\nContent-Disposition: form-data; name="file"\r\n\r\n--z--'),
     _BOUNDARY, 400, "nested"),
    ("too many files", _form(*(_FILE.format(n) for n in range(101))), _BOUNDARY, 400, "100 files"),
    ("10,000 files", _form(*(_FILE.format(n) for n in range(10_000))), _BOUNDARY, 400, "100 files"),
    ("10,000 empty fields", _form(*['Content-Disposition: form-data; name="file"; filename=""\r\n\r\n'] * 10_000),
     _BOUNDARY, 400, "100 files"),
    ("empty fields alone", _form(*['Content-Disposition: form-data; name="file"; filename=""\r\n\r\n'] * 3),
     _BOUNDARY, 400, "no file"),
    ("10,000 digests",
     _form(*['Content-Disposition: form-data; name="sha256"\r\n\r\n' + "0" * 64] * 10_000), _BOUNDARY, 400,
     "100 sha256"),
    ("10,000 unknown parts", _form(*["Content-Type: text/plain\r\n\r\nx"] * 10_000), _BOUNDARY, 400, "field"),
    ("quoted-printable part", _form("Content-Transfer-Encoding: quoted-printable\r\n" + _FILE.format("a")), _BOUNDARY,
     400, "Encoding"),
    ("gzip part", _form("Content-Encoding: gzip\r\n" + _FILE.format("a")), _BOUNDARY, 415, "compressed"),
    ("long boundary", _form(_FILE), {"Content-Type": "multipart/form-data; boundary=" + "y" * 300}, 400, "malformed"),
    ("no heads", b"--x\r\n\r\nabc\r\n--x--\r\n", _BOUNDARY, 400, "field"),
    ("too large", _form(_FILE.format("a") + "x" * 100_000), _BOUNDARY, 413, "limit"),
    ("second too large", _form(_FILE.format("a"), _FILE.format("b") + "x" * 100_000), _BOUNDARY, 413, "limit"),
]


async def test_bad_bodies_are_refused_with_a_reason_and_leave_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"max_file_bytes": "64Ki"})
    async with connected(config) as client:
        url = await client.upload_url()
        for name, body, headers, status, word in _BAD_BODIES:
            answer = await _post(client, url, body, headers)

            assert answer.status == status, (name, answer)
            assert word in answer.message["detail"], (name, answer)
            assert fresh_backing.stored() == [], name

        assert (await client.upload(url, ("fine", b"still works"))).status == 200


async def test_an_endless_file_is_refused_early(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    """The answer is sent although the body never ends, and the connection closes."""
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"max_file_bytes": "1Mi"})
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        yield ('--x\r\n' + _FILE.format("a")).encode()
        while True:
            sent += 65536
            yield b"x" * 65536

    async with connected(config) as client:
        url = await client.upload_url()
        async with asyncio.timeout(10):
            try:
                async with client.http.post(url, data=endless(), headers=_BOUNDARY) as answer:
                    assert answer.status == 413
            except aiohttp.ClientConnectionError:
                pass  # the reset may arrive before the answer
        assert fresh_backing.stored() == []
        assert sent < 2_000_000_000
        assert (await client.call("echo"))["content"][0]["text"] == "done"


async def test_a_client_that_disconnects_during_an_upload_leaves_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    begun = asyncio.Event()

    async def stalls() -> Any:
        yield ('--x\r\n' + _FILE.format("a") + "x" * 3_000_000).encode()
        begun.set()
        await asyncio.Event().wait()

    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = await client.upload_url()
        async with aiohttp.ClientSession() as leaving:
            transfer = asyncio.gather(leaving.post(url, data=stalls(), headers=_BOUNDARY), return_exceptions=True)
            await begun.wait()
            async with asyncio.timeout(20):
                while not fresh_backing.stored():
                    await asyncio.sleep(0.01)
            transfer.cancel()
            await asyncio.gather(transfer, return_exceptions=True)
        async with asyncio.timeout(20):
            while fresh_backing.stored():
                await asyncio.sleep(0.01)
            while (again := await client.upload(url, ("a", b"again"))).status == 403:   # released a moment later
                await asyncio.sleep(0.01)

        assert again.status == 200


@pytest.mark.parametrize(
    "name",
    [
        "x" * 255, "é" * 127 + ".txt", "a" * 5000 + ".tar.gz", "日本語 ファイル.pdf", "con.txt", ".hidden",
        "a\u202etxt.exe", "...", " ",
    ],
)
async def test_unusual_file_names_work_and_escape_no_folder(
    shared_backing: Backing, upstream: ScriptedUpstream, name: str
) -> None:
    upstream.behaviours["tools/call"] = reads
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        answer = await client.upload(await client.upload_url(), (name, b"odd"))
        assert answer.status == 200, answer
        said = await client.call("read", {"path": answer.message["upload_handle"]})

    assert said["content"][0]["text"] == _sha256(b"odd")
    stored = Path(upstream.last("tools/call").params["arguments"]["path"])
    assert len(stored.name.encode()) <= 255
    assert stored.is_relative_to(shared_backing.root)


async def test_a_missing_sha256_is_refused_where_it_is_required(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"require_sha256": True})
    async with connected(config) as client:
        url = await client.upload_url()
        assert (await client.upload(url, ("a", b"a"))).status == 400
        assert fresh_backing.stored() == []
        assert (await client.upload(url, ("a", b"a"), sha256=_sha256(b"a").upper())).status == 200


async def test_disabled_uploads_have_no_tool_and_no_route(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")), uploads={"enabled": False})
    async with connected(config) as client:
        tools = [tool["name"] for tool in (await client.result("tools/list"))["tools"]]
        answer = await client.upload(f"{client.base}/upload/files", ("a", b"a"))

    assert tools == ["read", "write", "echo"]
    assert (answer.status, answer.reason) == (400, "bad_request")


async def test_an_unknown_server_is_404(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        answer = await client.upload(f"{client.base}/upload/nowhere", ("a", b"a"))

    assert (answer.status, answer.reason) == (404, "not_found")


async def _post(client: Client, url: str, body: bytes, headers: dict[str, str]) -> Answer:
    async with client.http.post(url, data=io.BytesIO(body), headers=headers) as answer:
        return Answer(answer.status, {}, await answer.read())
