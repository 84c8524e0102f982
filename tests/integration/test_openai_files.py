"""Files that OpenAI hosts pass by URL: fetched from public addresses, refused from all others."""

import gzip
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from longshore.gateway.files.fetching import FetchPolicy
from longshore.gateway.files.public_addresses import is_public
from tests.fixtures.file_host import NAME, FileHost, broken, endless, file_host, redirect, silent, whole
from tests.fixtures.gateway import Backing, Client, connected, consumer, entry
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result

_CONTENT = b"some bytes \x00\xff " * 20_000
_SHA256 = hashlib.sha256(_CONTENT).hexdigest()
_MOST_BYTES = 1024 * 1024
_BOMB = gzip.compress(bytes(64 * _MOST_BYTES))


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[FileHost]:
    async with file_host(tmp_path) as running:
        running.pages["/a.bin"] = whole(_CONTENT)
        yield running


@asynccontextmanager
async def _client(
    backing: Backing, upstream: ScriptedUpstream, guard: FetchPolicy, *adapters: dict[str, Any]
) -> AsyncIterator[Client]:
    """Client of a tool that returns the contents of each path in its arguments."""

    async def behave(seen: Seen) -> Reply:
        given = seen.params["arguments"]["path"]
        paths = [Path(text) for text in (given if isinstance(given, list) else [given])]
        returned = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths]
        return result(seen, {"content": [{"type": "text", "text": text} for text in returned]})

    upstream.behaviours["tools/call"] = behave
    server = entry(upstream.url, *(adapters or [consumer("read")]))
    config = backing.config(
        server, files={"openai_file_params": True}, uploads={"max_file_bytes": _MOST_BYTES},
    )
    async with connected(config, guard=guard) as client:
        yield client


def _file(url: str, **more: str) -> dict[str, str]:
    return {"file_id": "file_1", "download_url": url, **more}


def _said(answer: dict[str, Any]) -> list[str]:
    return [block["text"] for block in answer["content"]]


async def test_a_file_by_url_reaches_the_tool(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    async with _client(shared_backing, upstream, host.guard()) as client:
        url = host.url("/a.bin?sig=a%2Fb+c%20d")
        named = await client.call("read", {"path": _file(url, file_name="ü b.csv", mime_type="text/csv")})
        plain = await client.call("read", {"path": _file(url)})
        handle = await client.upload_one("c.txt", b"c")
        mixed = await client.call("read", {"path": [_file(url), handle, "data:,d"]})

    assert _said(named) == [f"ü b.csv {_SHA256}"]
    assert _said(plain) == [f"a.bin {_SHA256}"]
    assert [text.split()[0] for text in _said(mixed)] == ["a.bin", "c.txt", "file"]
    assert host.asked[0].raw_path == "/a.bin?sig=a%2Fb+c%20d"


async def test_no_header_of_the_caller_is_sent_to_the_file_host(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    host.pages["/b"] = whole(b"b", headers={"Set-Cookie": "a=b; Path=/"})
    async with _client(shared_backing, upstream, host.guard()) as client:
        call = {"name": "read", "arguments": {"path": [_file(host.url("/b")), _file(host.url("/a.bin"))]}}
        await client.result("tools/call", call, {"Authorization": "Bearer secret", "Cookie": "c=d"})

    sent = [{name.lower() for name in request.headers} for request in host.asked]
    assert sent == [{"host", "accept", "accept-encoding", "user-agent", "connection"}] * 2


async def test_redirects_to_public_addresses_are_followed(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    host.addresses["other.test"] = ["127.0.0.1"]
    host.pages |= {"/1": redirect("/2"), "/2": redirect(host.url("/a.bin"))}
    async with _client(shared_backing, upstream, host.guard()) as client:
        returned = await client.call("read", {"path": _file(host.url("/1"), file_name="x")})

    assert _said(returned) == [f"x {_SHA256}"]


_Pages = Callable[[FileHost], str]


def _page(page: Callable[[FileHost], Any]) -> _Pages:
    def url(host: FileHost) -> str:
        host.pages["/x"] = page(host)
        return host.url("/x")

    return url


def _named(address: str, *more: str) -> _Pages:
    """Host name that resolves to this address."""

    def url(host: FileHost) -> str:
        host.addresses["inside.test"] = [address, *more]
        return host.url("/a.bin", "inside.test")

    return url


_NOT_PUBLIC = "an address that is not public"
_REFUSED: list[tuple[str, _Pages, str]] = [
    ("plain http", lambda host: host.url("/a.bin").replace("https", "http"), "not an https URL"),
    ("another scheme", lambda host: "file:///etc/passwd", "not an https URL"),
    ("no URL", lambda host: "https://files.test/a b", "not a URL"),
    ("a line break", lambda host: host.url("/a.bin\r\nX-A: b"), "not a URL"),
    ("no host", lambda host: "https:///a", "not a"),
    ("a broken host", lambda host: "https://[::1/a", "not a URL"),
    ("a password", lambda host: host.url("/a.bin").replace("https://", "https://a:b@"), "holds a user"),
    ("loopback", lambda host: host.url("/a.bin", "127.0.0.2"), _NOT_PUBLIC),
    ("loopback in short", lambda host: host.url("/a.bin", "127.1"), _NOT_PUBLIC),
    ("loopback as a number", lambda host: host.url("/a.bin", "2130706434"), _NOT_PUBLIC),
    ("loopback in IPv6", lambda host: host.url("/a.bin", "[::1]"), _NOT_PUBLIC),
    ("IPv4 in IPv6", lambda host: host.url("/a.bin", "[::ffff:127.0.0.1]"), _NOT_PUBLIC),
    ("a name for loopback", _named("127.0.0.2"), _NOT_PUBLIC),
    ("a name for a private network", _named("10.0.0.1"), _NOT_PUBLIC),
    ("a name for this link", _named("fe80::1"), _NOT_PUBLIC),
    ("a name for a cloud's metadata", _named("169.254.169.254"), _NOT_PUBLIC),
    ("a name for IPv4 in IPv6", _named("::ffff:10.0.0.1"), _NOT_PUBLIC),
    ("a name for good and bad", _named("127.0.0.1", "10.0.0.1"), _NOT_PUBLIC),
    ("a name that is none", lambda host: host.url("/a.bin", "nowhere.test"), "cannot be reached"),
    ("nobody there", lambda host: f"https://{NAME}:1/a.bin", "cannot be reached"),
    ("another name's certificate", _named("127.0.0.1"), "without a valid certificate"),
    ("a redirect to a private address", _page(lambda host: redirect("https://10.0.0.1/")), _NOT_PUBLIC),
    ("a redirect to loopback", _page(lambda host: redirect(host.url("/a.bin", "127.0.0.2"))), _NOT_PUBLIC),
    ("a redirect to plain http", _page(lambda host: redirect("http://files.test/")), "something else than https"),
    ("a redirect to nowhere", _page(lambda host: redirect("")), "not a URL"),
    ("redirects without end", _page(lambda host: redirect("/x")), "redirected too often"),
    ("no such file", _page(lambda host: whole(b"", status=404)), "HTTP status 404"),
    ("more than the limit", _page(lambda host: whole(b"x" * (_MOST_BYTES + 1))), f"more than {_MOST_BYTES} bytes"),
    ("an endless file", _page(lambda host: endless), f"more than {_MOST_BYTES} bytes"),
    ("a bomb", _page(lambda host: whole(_BOMB, headers={"Content-Encoding": "gzip"})), "compressed"),
    ("a file that breaks off", _page(lambda host: broken), "broke off"),
]


@pytest.mark.parametrize(("url", "returned"), [pytest.param(url, text, id=name) for name, url, text in _REFUSED])
async def test_other_urls_are_refused_and_nothing_is_left(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost, url: _Pages, returned: str
) -> None:
    async with _client(shared_backing, upstream, host.guard()) as client:
        answer = await client.call("read", {"path": _file(url(host))})

    assert answer["isError"] is True
    (text,) = _said(answer)
    assert returned in text
    assert not any(secret in text for secret in ("127.0.0", "10.0.0.1", "169.254", "fe80", ".test"))
    assert not upstream.calls("tools/call")
    assert not [path for path in shared_backing.stored() if client.session_id in path or path.startswith("staging/")]


async def test_a_server_that_stops_sending_times_out(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    host.pages["/x"] = silent
    async with _client(shared_backing, upstream, host.guard(silence_s=0.5)) as client:
        answer = await client.call("read", {"path": _file(host.url("/x"))})

    assert "too slow" in _said(answer)[0]
    assert not [path for path in shared_backing.stored() if path.startswith("staging/")]


async def test_a_name_rebound_before_the_connection_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    asked: list[str] = []

    def at_first(address: str) -> bool:
        asked.append(address)
        return len(asked) == 1

    async with _client(shared_backing, upstream, host.guard(at_first)) as client:
        answer = await client.call("read", {"path": _file(host.url("/a.bin"))})

    assert _NOT_PUBLIC in _said(answer)[0]
    assert (len(asked), host.asked) == (2, [])


async def test_by_default_no_local_address_is_reached(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    assert FetchPolicy().is_allowed is is_public
    async with _client(shared_backing, upstream, FetchPolicy()) as client:
        urls = [host.url("/a.bin", name) for name in ("127.0.0.1", "localhost", "[::1]", "0x7f000001")]
        answers = [await client.call("read", {"path": _file(url)}) for url in urls]

    assert [_NOT_PUBLIC in _said(answer)[0] for answer in answers] == [True] * len(urls)
    assert host.asked == []


async def test_no_file_is_stored_where_one_cannot_be_fetched(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    host.pages["/x"] = whole(b"", status=404)
    async with _client(shared_backing, upstream, host.guard()) as client:
        files: list[Any] = ["data:,a", _file(host.url("/a.bin")), _file(host.url("/x"))]
        answer = await client.call("read", {"path": files})
        many = await client.call("read", {"path": [_file(host.url("/a.bin"))] * 21})
        malformed = await client.call("read", {"path": {"download_url": 7}})

    assert [returned["isError"] for returned in (answer, many, malformed)] == [True] * 3
    assert not [path for path in shared_backing.stored() if client.session_id in path or path.startswith("staging/")]
    assert len(host.asked) == 2


async def test_the_tool_list_marks_file_arguments(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    plain, mirrored = {"type": "string", "title": "Path"}, {"type": "string", "x-mcp-header": "path"}
    optional: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}
    upstream.tools = [{"name": "read", "_meta": {"a": 1, "openai/fileParams": ["own"]}, "inputSchema": {
        "type": "object", "properties": {
            "path": plain, "paths": {"type": "array", "items": {"type": "string"}}, "mirrored": mirrored,
            "optional": optional, "deep": {"type": "object", "properties": {"path": plain}},
        },
    }}, {"name": "other", "inputSchema": {"type": "object"}}]
    paths = ("path", "paths", "mirrored", "optional", "deep.path")
    adapters = [consumer("read", path) for path in paths]
    async with _client(shared_backing, upstream, host.guard(), *adapters) as client:
        read, other = (await client.result("tools/list"))["tools"][:2]

    assert read["_meta"] == {"a": 1, "openai/fileParams": ["own", "path", "paths", "mirrored", "optional"]}
    found = read["inputSchema"]["properties"]
    by_url = found["path"]["anyOf"][1]
    assert (found["path"]["anyOf"][0], found["path"]["title"]) == ({"type": "string"}, "Path")
    assert (by_url["type"], set(by_url["required"])) == ("object", {"download_url", "file_id"})
    assert found["paths"]["items"]["anyOf"] == [{"type": "string"}, by_url]
    assert found["optional"]["anyOf"] == [*optional["anyOf"], by_url]
    assert found["mirrored"]["type"] == "string"
    assert found["deep"]["properties"]["path"]["anyOf"][1] == by_url
    assert other == upstream.tools[1]


async def test_without_the_key_file_objects_are_passed_to_the_tool(
    shared_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    given = _file(host.url("/a.bin"))
    async with connected(shared_backing.config(entry(upstream.url, consumer("read"))), guard=host.guard()) as client:
        await client.call("read", {"path": given})
        tools = (await client.result("tools/list"))["tools"]

    assert upstream.last("tools/call").params["arguments"] == {"path": given}
    assert "openai/fileParams" not in str(tools)
    assert host.asked == []


async def test_fetched_files_count_against_the_rate_limit_of_the_caller(
    fresh_backing: Backing, upstream: ScriptedUpstream, host: FileHost
) -> None:
    limits = {"per_principal": {"bytes_per_hour": 1000}}
    config = fresh_backing.config(
        entry(upstream.url, consumer("read")), files={"openai_file_params": True}, limits=limits,
    )
    async with connected(config, guard=host.guard()) as client:
        call = {"name": "read", "arguments": {"path": _file(host.url("/a.bin"))}}
        first = await client.request("tools/call", call)
        second = await client.request("tools/call", call)

    assert first.status == 200
    assert (second.status, second.reason) == (429, "rate_limited")
    assert len(host.asked) == 1
