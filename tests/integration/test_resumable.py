"""Resumable uploads by the tus protocol, through any gateway."""

import asyncio
import hashlib
import io
from base64 import b64encode
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.fixtures.gateway import NONE, Answer, Backing, Client, Headers, connected, consumer, entry, gateway
from tests.fixtures.upstreams import ScriptedUpstream

_CONTENT = bytes(range(256)) * 20_000
_SIZE = len(_CONTENT)
_TUS = {"Tus-Resumable": "1.0.0"}
_BYTES = {**_TUS, "Content-Type": "application/offset+octet-stream"}


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def _checksum(algorithm: str, data: bytes) -> str:
    return f"{algorithm} {_b64(hashlib.new(algorithm, data).digest())}"


async def _ask(client: Client, method: str, url: str, headers: Headers = _TUS, body: Any = None) -> Answer:
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    async with client.http.request(method, url, data=data, headers=headers) as answer:
        return Answer(answer.status, dict(answer.headers), await answer.read())


async def _create(
    client: Client, link: str, size: int = _SIZE, headers: Headers = NONE, body: bytes | None = None, **metadata: str
) -> tuple[Answer, str]:
    pairs = ",".join(f"{name} {_b64(value.encode())}" for name, value in metadata.items())
    head = {**_TUS, "Upload-Length": str(size), **({"Upload-Metadata": pairs} if pairs else {}), **headers}
    answer = await _ask(client, "POST", link, head, body)
    return answer, urljoin(link, answer.headers.get("Location", ""))


async def _patch(client: Client, url: str, offset: int, body: Any, headers: Headers = NONE) -> Answer:
    return await _ask(client, "PATCH", url, {**_BYTES, "Upload-Offset": str(offset), **headers}, body)


async def _offset(client: Client, url: str) -> int:
    answer = await _ask(client, "HEAD", url)
    assert answer.status == 200, answer
    return int(answer.headers["Upload-Offset"])


@pytest.mark.requirement("tus.options")
async def test_options_names_version_and_extensions(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        answer = await _ask(client, "OPTIONS", f"{client.base}/upload/files", NONE)

    assert (answer.status, answer.headers["Tus-Version"]) == (204, "1.0.0")
    assert answer.headers["Tus-Extension"] == "creation,creation-with-upload,expiration,checksum,termination"
    assert answer.headers["Tus-Max-Size"] == str(10 * 1024**2)
    assert "sha1" in answer.headers["Tus-Checksum-Algorithm"]


@pytest.mark.requirement("tus.head", "tus.patch", "tus.creation", "tus.creation-metadata", "tus.expiration")
async def test_another_gateway_continues_an_upload(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")))
    async with connected(config) as client, gateway(config) as other:
        created, url = await _create(client, await client.upload_url(), filename="größe.bin", filetype="text/plain")
        assert (created.status, created.headers["Upload-Offset"]) == (201, "0")
        assert "Upload-Expires" in created.headers
        assert created.headers["Location"]

        first = await _patch(client, url, 0, _CONTENT[:1_000_001])
        assert (first.status, first.headers["Upload-Offset"]) == (204, "1000001")
        assert "Upload-Expires" in first.headers
        elsewhere = url.replace(client.base, other)
        shown = await _ask(client, "HEAD", elsewhere)
        assert (shown.headers["Upload-Offset"], shown.headers["Upload-Length"]) == ("1000001", str(_SIZE))
        assert shown.headers["Cache-Control"] == "no-store"
        assert "filename" in shown.headers["Upload-Metadata"]
        assert (await _ask(client, "GET", elsewhere, NONE)).message["status"] == "receiving"

        last = await _patch(client, elsewhere, 1_000_001, _CONTENT[1_000_001:])
        assert (last.status, last.headers["Upload-Offset"]) == (204, str(_SIZE))
        assert await _offset(client, url) == _SIZE
        found = (await _ask(client, "GET", url, NONE)).message

    assert (found["status"], found["upload"]["filename"]) == ("complete", "größe.bin")
    assert found["upload"]["sha256"] == hashlib.sha256(_CONTENT).hexdigest()
    place = f"uploads/sessions/{client.session_id}/{found['upload']['upload_id']}/größe.bin"
    assert (shared_backing.root / place).read_bytes() == _CONTENT


@pytest.mark.requirement("tus.creation-with-upload")
@pytest.mark.parametrize("size", [0, _SIZE])
async def test_a_creation_may_carry_the_whole_file(
    shared_backing: Backing, upstream: ScriptedUpstream, size: int
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        created, url = await _create(
            client, await client.upload_url(), size, _BYTES if size else NONE, _CONTENT if size else None
        )
        assert (created.status, created.headers["Upload-Offset"]) == (201, str(size))
        found = (await _ask(client, "GET", url, NONE)).message

    assert (found["status"], found["upload"]["size_bytes"]) == ("complete", size)


@pytest.mark.requirement("tus.checksum")
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
async def test_bytes_with_a_wrong_checksum_are_not_kept(
    shared_backing: Backing, upstream: ScriptedUpstream, algorithm: str
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        _, url = await _create(client, await client.upload_url())
        part = _CONTENT[:3_000_000]

        spoilt = await _patch(client, url, 0, part, {"Upload-Checksum": _checksum(algorithm, b"other")})
        assert (spoilt.status, spoilt.reason, await _offset(client, url)) == (460, "checksum_mismatch", 0)
        assert spoilt.headers["Tus-Resumable"] == "1.0.0"
        right = await _patch(client, url, 0, part, {"Upload-Checksum": _checksum(algorithm, part)})
        assert (right.status, await _offset(client, url)) == (204, 3_000_000)


async def test_one_of_two_writers_at_one_offset_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")))
    async with connected(config) as client, gateway(config) as other:
        _, url = await _create(client, await client.upload_url())
        answers = await asyncio.gather(
            _patch(client, url, 0, _CONTENT), _patch(client, url.replace(client.base, other), 0, b"x" * _SIZE)
        )

        statuses = sorted(answer.status for answer in answers)
        assert statuses[0] == 204
        assert statuses[1] in (409, 423)
        winner = _CONTENT if answers[0].status == 204 else b"x" * _SIZE
        found = (await _ask(client, "GET", url, NONE)).message

    assert found["upload"]["sha256"] == hashlib.sha256(winner).hexdigest()


async def test_bytes_received_before_a_connection_broke_are_kept(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def breaks() -> Any:
        yield _CONTENT[:3_000_000]
        raise ConnectionResetError

    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        _, url = await _create(client, await client.upload_url())
        await asyncio.gather(_patch(client, url, 0, breaks()), return_exceptions=True)
        async with asyncio.timeout(10):
            while not (offset := await _offset(client, url)):
                await asyncio.sleep(0.01)
            while (answer := await _patch(client, url, offset, _CONTENT[offset:])).status == 423:
                await asyncio.sleep(0.01)
        found = (await _ask(client, "GET", url, NONE)).message

    assert answer.status == 204
    assert found["upload"]["sha256"] == hashlib.sha256(_CONTENT).hexdigest()


@pytest.mark.requirement("tus.head-missing", "tus.termination")
async def test_a_terminated_upload_leaves_nothing_and_its_link_stays_valid(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        link = await client.upload_url()
        _, url = await _create(client, link)
        await _patch(client, url, 0, b"abc")
        assert len(fresh_backing.stored()) == 1

        assert (await _ask(client, "DELETE", url)).status == 204
        missing = await _ask(client, "HEAD", url)
        assert missing.status == 404
        assert "Upload-Offset" not in missing.headers
        assert (await _patch(client, url, 3, b"def")).status == 404
        assert fresh_backing.stored() == []
        assert (await client.upload(link, ("a", b"abc"))).status == 200


async def test_a_link_opens_one_batch_of_resumable_uploads(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        ticket = (await client.call("files_get_upload_url"))["structuredContent"]
        link = ticket["upload_url"]
        urls = [(await _create(client, link, 3, filename=name))[1] for name in ("a", "b")]
        assert (await client.upload(link, ("c", b"c"))).status == 403
        ask = {"link_id": ticket["link_id"], "wait_seconds": 0}

        await _patch(client, urls[0], 0, b"one")
        half = (await client.call("files_await_upload", ask))["structuredContent"]
        await _patch(client, urls[1], 0, b"two")
        whole = (await client.call("files_await_upload", ask))["structuredContent"]

    assert (half["status"], half["count"]) == ("receiving", 1)
    assert whole["status"] == "complete"
    assert [entry["filename"] for entry in whole["uploads"]] == ["a", "b"]


async def test_a_file_with_a_wrong_digest_is_refused_and_leaves_nothing(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"require_sha256": True})
    async with connected(config) as client:
        link = await client.upload_url()
        assert (await _create(client, link, 3))[0].status == 400
        _, url = await _create(client, link, 3, sha256="0" * 64)
        answer = await _patch(client, url, 0, b"abc")
        assert (answer.status, answer.reason) == (400, "bad_request")
        assert fresh_backing.stored() == []

        _, url = await _create(client, link, 3, sha256=hashlib.sha256(b"abc").hexdigest())
        assert (await _patch(client, url, 0, b"abc")).status == 204


_BAD_CREATIONS: list[tuple[dict[str, str], int]] = [
    ({"Tus-Resumable": "0.2.2"}, 412), ({"Upload-Length": "-1"}, 400), ({"Upload-Length": "many"}, 400),
    ({"Upload-Length": "9" * 17}, 413), ({"Upload-Length": "9" * 5000}, 400), ({"Upload-Defer-Length": "1"}, 400),
    ({"Upload-Metadata": "filename !!!"}, 400), ({"Upload-Metadata": "a YQ==,a YQ=="}, 400),
    ({"Upload-Metadata": f"filename {_b64(b'a/../b')}"}, 400),
    *(({"Upload-Metadata": f"filename {_b64(name)}"}, 400) for name in (b"..", b"a\\b", b"a\0b", b"\xff.txt")),
    ({"Upload-Metadata": f"filename {_b64(b'xff')[:-1]}"}, 400),
    ({"Upload-Metadata": f"sha256 {_b64(b'short')}"}, 400), ({"Upload-Checksum": "crc32 AAAA"}, 400),
    ({"Mcp-Session-Id": "A" * 32}, 403),
]
_BAD_PATCHES: list[tuple[dict[str, str], int]] = [
    ({"Tus-Resumable": "2.0.0"}, 412), ({"Upload-Offset": "1"}, 409), ({"Upload-Offset": "x"}, 400),
    ({"Upload-Offset": "-1"}, 400), ({"Content-Type": "text/plain"}, 415), ({"Upload-Checksum": "sha1 AAAA"}, 400),
    ({"Content-Encoding": "gzip"}, 415), ({"Mcp-Session-Id": "A" * 32}, 403),
]


@pytest.mark.requirement(
    "tus.version", "tus.patch-offset", "tus.patch-type", "tus.patch-missing", "tus.creation-size",
    "tus.checksum-algorithm",
)
async def test_bad_requests_are_refused_and_change_nothing(fresh_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        link = await client.upload_url()
        for headers, status in _BAD_CREATIONS:
            answer, _ = await _create(client, link, 3, headers)
            assert answer.status == status, (headers, answer)
            assert answer.headers["Tus-Resumable"] == "1.0.0", headers
            assert answer.headers["Tus-Version"] == "1.0.0", headers
            assert fresh_backing.stored() == [], headers
        _, url = await _create(client, link, 3)
        for headers, status in _BAD_PATCHES:
            answer = await _patch(client, url, 0, b"abc", headers)
            assert answer.status == status, (headers, answer)
            assert await _offset(client, url) == 0, headers
        assert (await _patch(client, url, 0, b"abcd")).status == 413
        assert (await _patch(client, url[:-3] + "xyz", 0, b"abc")).status == 404
        assert (await _patch(client, url, 0, b"abc")).status == 204
        assert (await _ask(client, "DELETE", url)).status == 404


async def test_a_chunked_body_that_is_too_long_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async def long() -> Any:
        yield b"abcd"

    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        _, url = await _create(client, await client.upload_url(), 3)

        assert (await _patch(client, url, 0, long())).status == 413
        assert (await _patch(client, url, 0, b"abc")).status == 204


@pytest.mark.requirement("tus.override")
async def test_a_method_may_be_overridden_by_a_header(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        _, url = await _create(client, await client.upload_url(), 3)
        headers = {**_BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}

        assert (await _ask(client, "POST", url, headers, b"abc")).status == 204
        assert (await _ask(client, "POST", url, _TUS)).status == 405


async def test_resumable_uploads_can_be_disabled(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")), uploads={"resumable": False})
    async with connected(config) as client:
        answer, _ = await _create(client, await client.upload_url())

    assert (answer.status, answer.reason) == (400, "bad_request")


async def test_storage_stays_reserved_from_creation_to_completion(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Also between its requests: an upload that would not fit beside it is refused before its first byte."""
    config = fresh_backing.config(
        entry(upstream.url, consumer("read")), sessions={"max_total_session_size": "8Mi"},
    )
    async with connected(config) as client:
        link = await client.upload_url()
        _, first = await _create(client, link)
        await _patch(client, first, 0, _CONTENT[:1000])

        refused, _ = await _create(client, link)
        put = await _ask(client, "PUT", await client.upload_url(), NONE, _CONTENT)
        await _ask(client, "DELETE", first)
        created, second = await _create(client, link)
        taken = await _patch(client, second, 0, _CONTENT)

    assert (refused.status, refused.reason) == (507, "over_quota")
    assert (put.status, put.reason) == (507, "over_quota")
    assert (created.status, taken.status) == (201, 204)


async def test_no_bytes_are_accepted_for_an_ended_session(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        _, url = await _create(client, await client.upload_url())
        await _patch(client, url, 0, _CONTENT[:1000])
        await client.delete()

        refused = await _patch(client, url, 1000, _CONTENT[1000:])
        ended = await _ask(client, "DELETE", url)

    assert (refused.status, refused.reason) == (404, "session_not_found")
    assert ended.status == 204
    assert fresh_backing.stored() == []
