"""Quotas, leased files and lost files, as clients of the gateway see them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from longshore.shared.config import Config
from tests.fixtures.gateway import Answer, Backing, backing, connected, consumer, entry, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, writes

_UNIT = 100 * 1024         # small enough for the tests' own HTTP client
_LIMITS: dict[str, dict[str, Any]] = {
    "sessions": {"max_total_session_size": "400Ki"}, "uploads": {"max_file_bytes": "16Mi", "ttl_seconds": 600},
    "artifacts": {"max_per_session": 2, "ttl_seconds": 600},
}


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Backing]:
    """Worker with these limits."""
    with backing(tmp_path, **_LIMITS) as made:
        yield made


def _config(made: Backing, upstream: ScriptedUpstream, *adapters: dict[str, Any]) -> Config:
    return made.config(entry(upstream.url, *adapters), **_LIMITS)


async def _until_gone(made: Backing, name: str) -> None:
    async with asyncio.timeout(20):
        while any(path.endswith(name) for path in made.stored()):
            await asyncio.sleep(0.02)


async def test_an_upload_that_can_never_fit_is_refused_before_its_body(
    limited: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(_config(limited, upstream, consumer("read"))) as client:
        url = await client.upload_url()
        head = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(12 * 1024 * 1024)}
        reader, writer = await asyncio.open_connection(*_place(client.base))
        target = url.removeprefix(client.base)
        head["Host"] = client.base.removeprefix("http://")
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(20):
            status = await reader.readline()
        writer.close()
        refused = await client.upload(url, ("large.bin", b"x" * (8 * _UNIT)))
        again = await client.upload(url, ("small.bin", b"x"))

    assert b" 507 " in status
    assert (refused.status, refused.reason) == (507, "over_quota")
    assert again.status == 200  # the link was released
    assert [path for path in limited.stored() if "large" in path or "staging" in path] == []


async def test_an_upload_of_unknown_size_is_refused_once_it_cannot_fit(
    limited: Backing, upstream: ScriptedUpstream
) -> None:
    sent = 0

    async def body() -> Any:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
        for _ in range(1000):
            sent += _UNIT
            yield b"x" * _UNIT
        yield b"\r\n--b--\r\n"

    async with connected(_config(limited, upstream, consumer("read"))) as client:
        head = {"Content-Type": "multipart/form-data; boundary=b"}
        try:
            async with client.http.post(await client.upload_url(), data=body(), headers=head) as response:
                answer = Answer(response.status, dict(response.headers), await response.read())
                assert (answer.status, answer.reason) == (507, "over_quota")
        except aiohttp.ClientConnectionError:
            pass  # cut off while it still sends: an answer may be lost on the way

    assert sent < 1000 * _UNIT
    await _until_gone(limited, "")


async def test_an_evicted_file_is_gone_for_tools_too(limited: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(_config(limited, upstream, consumer("read"))) as client:
        first = await client.upload_one("first.bin", b"1" * (3 * _UNIT))
        second = await client.upload_one("second.bin", b"2" * (3 * _UNIT))
        lost = await client.call("read", {"path": first})
        found = await client.call("read", {"path": second})

    assert lost["isError"] is True
    assert "upload the file again" in lost["content"][0]["text"]
    assert found["content"][0]["text"] == "done"
    assert [Path(path).name for path in limited.stored()] == ["second.bin"]


async def test_a_running_call_leases_its_file_and_releases_it(limited: Backing, upstream: ScriptedUpstream) -> None:
    """While the tool runs, an upload that would have to evict the file is refused; afterwards it fits."""
    go_on = asyncio.Event()

    async def slow(seen: Seen) -> Reply:
        await go_on.wait()
        path = Path(seen.params["arguments"]["path"])
        size = (await asyncio.to_thread(path.stat)).st_size
        return result(seen, {"content": [{"type": "text", "text": str(size)}]})

    upstream.behaviours["tools/call"] = slow
    async with connected(_config(limited, upstream, consumer("read"))) as client:
        urls = [await client.upload_url() for _ in range(2)]
        handle = await client.upload_one("used.bin", b"1" * (3 * _UNIT))
        running = asyncio.gather(client.call("read", {"path": handle}))
        await upstream.until("tools/call")

        refused = await client.upload(urls[0], ("new.bin", b"2" * (2 * _UNIT)))
        go_on.set()
        (said,) = await running
        taken = await client.upload(urls[1], ("new.bin", b"2" * (2 * _UNIT)))

    assert (refused.status, refused.reason) == (507, "over_quota")
    assert said["content"][0]["text"] == str(3 * _UNIT)
    assert taken.status == 200
    assert [Path(path).name for path in limited.stored()] == ["new.bin"]


async def test_an_artifact_over_the_quota_is_a_tool_error(
    limited: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(b"x" * (5 * _UNIT))
    async with connected(_config(limited, upstream, producer("write"))) as client:
        answer = await client.request("tools/call", {"name": "write", "arguments": {"path": "out.bin"}})

    assert answer.status == 200
    said = answer.message["result"]
    assert said["isError"] is True
    assert said["_meta"]["longshore/reason"] == "over_quota"
    assert "do not fit" in said["content"][0]["text"]
    await _until_gone(limited, "out.bin")


async def test_the_newest_artifacts_are_kept(limited: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"text\n")
    async with connected(_config(limited, upstream, producer("write", expose_as_resource=True))) as client:
        for number in range(4):
            await client.call("write", {"path": f"{number}.txt"})
        listed = [entry["name"] for entry in (await client.result("resources/list"))["resources"]]

    assert [name for name in listed if name.endswith(".txt")] == ["2.txt", "3.txt"]
    assert sorted(Path(path).name for path in limited.stored()) == ["2.txt", "3.txt"]


async def test_a_lost_file_is_noticed_when_it_is_used(limited: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"text\n")
    async with connected(_config(limited, upstream, consumer("read"), producer("write"))) as client:
        handle = await client.upload_one("a.txt", b"1")
        uri = (await client.call("write", {"path": "b.txt"}))["_meta"]["artifact"]["artifact_uri"]
        for path in limited.stored():
            (limited.root / path).unlink()

        lost = await client.call("read", {"path": handle})
        read = await client.request("resources/read", {"uri": uri})
        listed = [entry["uri"] for entry in (await client.result("resources/list"))["resources"]]

    assert lost["isError"] is True
    assert read.reason == "not_found"
    assert uri not in listed


def _place(base: str) -> tuple[str, int]:
    host, _, port = base.removeprefix("http://").partition(":")
    return host, int(port)
