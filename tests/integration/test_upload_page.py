"""HTML page of an upload link."""

import asyncio
import hashlib
import re
from pathlib import Path

import msgspec
import pytest

from tests.fixtures.gateway import Answer, Backing, Client, Headers, connected, consumer, entry
from tests.fixtures.node import UPLOAD_PAGE, chromium
from tests.fixtures.upstreams import ScriptedUpstream

_HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def _get(client: Client, url: str, headers: Headers = _HTML) -> Answer:
    async with client.http.get(url, headers=headers) as answer:
        return Answer(answer.status, dict(answer.headers), await answer.read())


async def test_a_link_opens_a_page_that_repeats_nothing_of_it_and_does_not_consume_it(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        link = await client.upload_url()
        first, second = await _get(client, link), await _get(client, link)

        assert (first.status, first.body) == (200, second.body)
        assert first.headers["Content-Type"].startswith("text/html")
        policy = first.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        text = first.body.decode()
        assert not re.findall(r"(?:src|href)=", text)
        for value in re.findall(r"(?:sig|nonce|scope)=([^&]+)", link):
            assert value not in text
        assert (await client.upload(link, ("a", b"a"))).status == 200


async def test_an_invalid_link_shows_the_reason_on_a_page(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        link = await client.upload_url()
        tampered = await _get(client, link[:-1] + ("A" if link[-1] != "A" else "B"))
        bare = await _get(client, f"{client.base}/upload/files")
        unknown = await _get(client, f"{client.base}/upload/<b>")
        tool = await _get(client, link, {"Accept": "application/json"})

    assert [answer.status for answer in (tampered, bare, unknown, tool)] == [403, 400, 404, 406]
    assert b"signature is not valid" in tampered.body
    assert b"<b>" not in unknown.body
    assert tool.reason == "not_acceptable"


async def test_a_page_may_upload_under_the_host_name_that_served_it(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")), core={"allowed_hosts": ["files.lan"]})
    async with connected(config) as client:
        link = await client.upload_url()

        async def put(origin: str) -> int:
            headers = {"Host": "files.lan:1", "Origin": origin}
            async with client.http.put(link, data=b"abc", headers=headers) as answer:
                return answer.status

        origins = ("http://evil.example", "null", "http://[files.lan:1", "http://files.lan:1")
        assert [await put(origin) for origin in origins] == [403, 403, 403, 200]


_PART = 'Content-Disposition: form-data; name="{}"{}\r\n\r\n{}'


async def test_a_form_with_a_digest_for_each_file_may_have_empty_fields(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Form of a browser without JavaScript: an input in which no file was chosen is a file without a name."""
    config = fresh_backing.config(entry(upstream.url, consumer("read")), uploads={"require_sha256": True})
    async with connected(config) as client:
        link = await client.upload_url()
        text = (await _get(client, link)).body.decode()
        fields = re.findall(r'<input (?:type="file" )?name="(file|sha256)"([^>]*)>', text)
        assert [name for name, _ in fields] == ["file", "sha256"] * 5
        assert not [more for _, more in fields if "multiple" in more]

        def form(*filled: tuple[str, str]) -> bytes:
            pairs = [*filled, *[("", "")] * (5 - len(filled))]
            parts = [
                part for content, digest in pairs for part in (
                    _PART.format("file", f'; filename="{content}"', content), _PART.format("sha256", "", digest)
                )
            ]
            return ("".join(f"--x\r\n{part}\r\n" for part in parts) + "--x--\r\n").encode()

        async def post(body: bytes) -> tuple[int, str]:
            headers = {**_HTML, "Content-Type": "multipart/form-data; boundary=x"}
            async with client.http.post(link, data=body, headers=headers) as answer:
                return answer.status, await answer.text()

        a, b = (hashlib.sha256(content).hexdigest() for content in (b"a", b"b"))
        bare, wrong = await post(form(("a", a), ("b", ""))), await post(form(("a", b), ("b", a)))
        sent, shown = await post(form(("a", a), ("b", b)))

    assert (bare[0], wrong[0], sent) == (400, 400, 200)
    assert "2 files and 1 sha256" in bare[1]
    assert len(re.findall("data-handle=", shown)) == 2


@pytest.mark.parametrize("how", ["plain", "script"])
async def test_a_browser_sends_digests_where_they_are_required(
    shared_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path, how: str
) -> None:
    """The person types them where there is no JavaScript; the page computes them where there is."""
    file = tmp_path / "a.bin"
    file.write_bytes(b"abc" * 1000)
    config = shared_backing.config(entry(upstream.url, consumer("read")), uploads={"require_sha256": True})
    async with connected(config) as client:
        browser = await asyncio.create_subprocess_exec(
            *map(str, UPLOAD_PAGE), chromium(), await client.upload_url(), str(file), how, "",
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await asyncio.wait_for(browser.communicate(), 50)

    said = msgspec.json.decode(printed)
    assert said["complaints"] == []
    assert said["handle"].startswith(f"upload://sessions/{client.session_id}/")
