"""One file as the bare body of a PUT, as scripts and `curl -T` send it."""

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from longshore.shared.config import Config
from tests.fixtures.gateway import Answer, Backing, Client, Headers, connected, consumer, entry, gateway
from tests.fixtures.upstreams import ScriptedUpstream

_CONTENT = b"\x00\x01 some bytes" * 50_000
_DIGEST = hashlib.sha256(_CONTENT).hexdigest()


def _named(url: str, name: str, query: str = "") -> str:
    """Link with a file name at the end of its path."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path}/{name}", query=parts.query + query))


async def _put(client: Client, url: str, body: Any = _CONTENT, headers: Headers | None = None) -> Answer:
    async with client.http.put(url, data=body, headers=headers) as answer:
        return Answer(answer.status, dict(answer.headers), await answer.read())


async def test_curl_uploads_a_file_under_its_own_name(
    shared_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    (tmp_path / "data set.bin").write_bytes(_CONTENT)
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        curl = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-T", "data set.bin", _named(await client.upload_url(), ""), cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
        )
        body, _ = await curl.communicate()

    shown = Answer(200, {}, body).message
    assert (shown["upload"]["filename"], shown["upload"]["sha256"]) == ("data set.bin", _DIGEST)
    stored = f"uploads/sessions/{client.session_id}/{shown['upload']['upload_id']}/data set.bin"
    assert (shared_backing.root / stored).read_bytes() == _CONTENT


async def test_a_put_answers_as_a_form_of_one_file(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        form = await client.upload(await client.upload_url(), ("a.txt", b"abc"))
        raw = await _put(client, _named(await client.upload_url(), "a.txt"), b"abc")

    assert raw.message.keys() == form.message.keys()
    assert raw.message["upload"].keys() == form.message["upload"].keys()
    assert raw.message["upload_handle"].startswith(f"upload://sessions/{client.session_id}/")


async def test_a_session_header_authorizes_a_put(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        session = {"Mcp-Session-Id": client.session_id}

        answer = await _put(client, f"{client.base}/upload/files?filename=x.csv", b"a,b\n", session)

    assert answer.message["upload"]["filename"] == "x.csv"


@pytest.mark.parametrize("place", ["header", "query"])
async def test_a_wrong_digest_is_refused_and_the_link_stays_valid(
    fresh_backing: Backing, upstream: ScriptedUpstream, place: str
) -> None:
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"require_sha256": True})
    async with connected(config) as client:
        url = await client.upload_url()

        async def put(digest: str) -> Answer:
            headers = {"X-Content-Sha256": digest} if place == "header" and digest else {}
            query = f"&sha256={digest}" if place == "query" and digest else ""
            return await _put(client, _named(url, "a", query), headers=headers)

        refused = [await put(digest) for digest in ("", "0" * 64, "short")]
        assert [answer.status for answer in refused] == [400, 400, 400]
        assert all("sha256" in answer.message["detail"] for answer in refused)
        assert fresh_backing.stored() == []
        assert (await put(_DIGEST.upper())).status == 200
        assert (await put(_DIGEST)).status == 403


@pytest.mark.parametrize(
    ("name", "headers", "status"),
    [
        ("a%2Fb", {}, 400), ("a%5Cb", {}, 400), ("..%2F", {}, 400), ("a", {"Content-Range": "bytes 0-2/3"}, 400),
        ("a", {"Content-Type": "multipart/form-data; boundary=x"}, 415), ("a", {"Content-Encoding": "gzip"}, 415),
        ("a", {"Mcp-Session-Id": "A" * 32}, 403),
    ],
)
async def test_a_body_that_is_not_a_bare_file_is_refused_and_leaves_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream, name: str, headers: dict[str, str], status: int
) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = await client.upload_url()
        parts = urlsplit(url)
        head = f"PUT {parts.path}/{name}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 3\r\n"
        lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())

        answered = await _raw(parts.netloc, f"{head}{lines}Connection: close\r\n\r\nabc".encode())

        assert answered == status
        assert fresh_backing.stored() == []
        assert (await _put(client, url, b"")).message["upload"]["filename"] == "file"


async def test_links_stay_valid_after_a_rotation_of_the_signing_secret(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    served = entry(upstream.url, consumer("read"))

    def config(**auth: Any) -> Config:
        return shared_backing.config(served, core={"auth": auth})

    async with connected(config(signing_secret="old")) as client:
        link = await client.upload_url()
        rotated = config(signing_secret="new", previous_signing_secrets=["old"])
        async with gateway(rotated) as after, gateway(config(signing_secret="new")) as without:
            refused = await _put(client, link.replace(client.base, without), b"abc")
            taken = await _put(client, link.replace(client.base, after), b"abc")
            again = await _put(client, link, b"abc")

    assert (refused.status, taken.status, again.status) == (403, 200, 403)


async def test_a_body_that_is_cut_off_leaves_nothing_and_the_link_stays_valid(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = await client.upload_url()
        parts = urlsplit(url)
        _, writer = await asyncio.open_connection(*parts.netloc.split(":"))
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 4000000\r\n\r\n"
        writer.write(head.encode() + b"x" * 3_000_000)
        async with asyncio.timeout(10):
            while not fresh_backing.stored():
                await asyncio.sleep(0.01)
            writer.close()
            while fresh_backing.stored():
                await asyncio.sleep(0.01)
            while (answer := await _put(client, url)).status == 403:
                await asyncio.sleep(0.01)

        assert answer.status == 200


async def test_a_file_that_is_too_large_is_refused(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"max_file_bytes": "64Ki"})
    async with connected(config) as client:
        answer = await _put(client, await client.upload_url(), b"x" * 70_000)

        assert (answer.status, answer.reason) == (413, "too_large")
        assert fresh_backing.stored() == []


_FORM = "Content-Type: multipart/form-data; boundary=x"
_FRAMES: list[tuple[str, str, str, int]] = [
    ("PUT", "Content-Length: abc", "abc", 400),
    ("PUT", "Content-Length: -1", "abc", 400),
    ("PUT", "Content-Length: 3\r\nContent-Length: 5", "abcde", 400),
    ("PUT", "Content-Length: 3\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n", 400),
    ("PUT", "Transfer-Encoding: chunked", "zz\r\nabc\r\n0\r\n\r\n", 400),
    ("PUT", "Transfer-Encoding: chunked", "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400),
    ("PUT", "Transfer-Encoding: gzip, chunked", "3\r\nabc\r\n0\r\n\r\n", 415),
    ("POST", f"{_FORM}\r\nContent-Encoding: gzip\r\nContent-Length: 3", "abc", 415),
    ("POST", f"{_FORM}\r\nContent-Length: {10**18}", "--x\r\n", 413),
]


async def test_a_body_with_broken_framing_is_refused_and_leaves_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The link stays valid."""
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        for method, frame, body, status in _FRAMES:
            url = await client.upload_url()
            parts = urlsplit(url)
            head = f"{method} {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n{frame}\r\n\r\n"

            async with asyncio.timeout(10):
                assert await _raw(parts.netloc, (head + body).encode()) == status, frame
                while fresh_backing.stored() or (after := await _put(client, url, b"fine")).status == 403:
                    await asyncio.sleep(0.01)    # the answer may come before the link is released

            assert after.status == 200, frame
            for path in (fresh_backing.root / "uploads").rglob("file"):
                path.unlink()


@pytest.mark.parametrize("size", [10**6, 2**63, 10**30])
async def test_an_impossible_size_is_refused_before_a_byte_is_sent(
    fresh_backing: Backing, upstream: ScriptedUpstream, size: int
) -> None:
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"max_file_bytes": "64Ki"})
    async with connected(config) as client:
        url = await client.upload_url()
        parts = urlsplit(url)
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {size}\r\n"
        async with asyncio.timeout(20):
            status = await _raw(parts.netloc, f"{head}Expect: 100-continue\r\n\r\n".encode())

        assert status in (400, 413)
        assert fresh_backing.stored() == []
        assert (await _put(client, url, b"abc")).status == 200


@pytest.mark.parametrize("sizes", [[1] * 5_000, [1, 300_000, 2, 65_536, 3], [65_536] * 8, []])
async def test_a_body_arrives_whole_in_chunks_of_any_size(
    sizes: list[int], shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    content = os.urandom(sum(sizes))
    frames, at = [], 0
    for size in sizes:
        frames.append(b"%x\r\n%s\r\n" % (size, content[at:at + size]))
        at += size
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        url = urlsplit(_named(await client.upload_url(), "a.bin"))
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
        status = await _raw(url.netloc, head.encode() + b"".join(frames) + b"0\r\n\r\n")
        folder = shared_backing.root / "uploads" / "sessions" / client.session_id
        stored = [path.read_bytes() for path in folder.glob("*/a.bin")]

    assert status == 200
    assert stored == [content]


async def _raw(netloc: str, request: bytes) -> int:
    reader, writer = await asyncio.open_connection(*netloc.split(":"))
    writer.write(request)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status
