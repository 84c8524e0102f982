"""The page of an upload link, as bytes."""

import re

from tests.fixtures.gateway import Answer, Backing, Client, Headers, connected, consumer, entry
from tests.fixtures.upstreams import ScriptedUpstream

_HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def _get(client: Client, url: str, headers: Headers = _HTML) -> Answer:
    async with client.http.get(url, headers=headers) as answer:
        return Answer(answer.status, dict(answer.headers), await answer.read())


async def test_a_link_opens_a_page_that_holds_nothing_of_it_and_uses_nothing_up(
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


async def test_a_link_that_is_none_says_why_on_a_page(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
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


async def test_a_page_may_call_back_under_the_name_it_was_served_by(
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
