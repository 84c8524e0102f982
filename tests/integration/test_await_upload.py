"""The tool that waits for the files of an upload link."""

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest
from redis import Redis

from longshore.shared.keys import Keys
from tests.fixtures.gateway import Answer, Backing, Client, connected, consumer, entry, gateway
from tests.fixtures.upstreams import ScriptedUpstream


async def _ticket(client: Client) -> dict[str, Any]:
    ticket: dict[str, Any] = (await client.call("files_get_upload_url"))["structuredContent"]
    return ticket


async def _wait(client: Client, link: str, wait_seconds: float = 20) -> dict[str, Any]:
    said = await client.call("files_await_upload", {"link_id": link, "wait_seconds": wait_seconds})
    found: dict[str, Any] = said["structuredContent"]
    assert msgspec.json.decode(said["content"][0]["text"]) == found
    return found


async def test_it_answers_with_handles_as_soon_as_another_gateway_has_the_files(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")))
    async with connected(config) as client, gateway(config) as other:
        ticket = await _ticket(client)
        waiting = asyncio.gather(_wait(client, ticket["link_id"]))
        url = ticket["upload_url"].replace(client.base, other)
        async with asyncio.timeout(10):
            sent = await client.upload(url, ("a.txt", b"abc"), ("b.txt", b"de"))
            (found,) = await waiting

        assert found["status"] == "complete"
        assert found["uploads"] == sent.message["uploads"]
        assert found["upload_handles"] == sent.message["upload_handles"]
        assert (await _wait(client, ticket["upload_url"], 0))["uploads"] == sent.message["uploads"]


async def test_a_link_that_nobody_used_is_waited_for_no_longer_than_asked(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        ticket = await _ticket(client)
        async with asyncio.timeout(20):
            found = await _wait(client, ticket["link_id"], 1)

    assert (found["status"], found["upload_handles"], found["count"]) == ("waiting", [], 0)
    assert "files_await_upload" in found["note"]


async def test_a_transfer_under_way_and_one_that_failed_show(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    begun = asyncio.Event()

    async def stalls() -> Any:
        yield b"x" * 2_000_000
        begun.set()
        await asyncio.Event().wait()

    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        ticket = await _ticket(client)
        transfer = asyncio.gather(_put(client, ticket["upload_url"], stalls()), return_exceptions=True)
        await begun.wait()
        assert (await _wait(client, ticket["link_id"], 0))["status"] == "receiving"

        transfer.cancel()
        await asyncio.gather(transfer, return_exceptions=True)
        async with asyncio.timeout(10):
            while (await _wait(client, ticket["link_id"], 0))["status"] != "waiting":
                await asyncio.sleep(0.01)


async def _put(client: Client, url: str, body: Any) -> None:
    async with client.http.put(url, data=body):
        pass


async def test_a_progress_token_is_answered_with_notifications(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        ticket = await _ticket(client)
        arguments = {"link_id": ticket["link_id"], "wait_seconds": 30}
        params = {"name": "files_await_upload", "arguments": arguments, "_meta": {"progressToken": "p1"}}
        message = {"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": params}
        async with client.http.post(client.base + client.mount, json=message, headers=client.headers()) as answer:
            first = await answer.content.readuntil(b"\n\n")
            await client.upload(ticket["upload_url"], ("a", b"abc"))
            async with asyncio.timeout(10):
                rest = await answer.read()

    told = msgspec.json.decode(first.split(b"data: ")[1])
    assert (told["method"], told["params"]["progressToken"]) == ("notifications/progress", "p1")
    assert told["params"]["total"] == 30
    result = Answer(200, {"Content-Type": "text/event-stream"}, rest).message
    assert (result["id"], result["result"]["structuredContent"]["status"]) == (99, "complete")


@pytest.mark.parametrize(
    "arguments",
    [{}, {"link_id": 5}, {"link_id": "no id"}, {"link_id": "https://example.org/?nonce=.."}, {"link_id": "x" * 5000},
     {"link_id": "A" * 22, "wait_seconds": "long"}, {"link_id": "A" * 22, "more": 1}, {"link_id": "http://[x"}],
)
async def test_bad_arguments_are_a_tool_error(
    shared_backing: Backing, upstream: ScriptedUpstream, arguments: dict[str, Any]
) -> None:
    async with connected(shared_backing.config(entry(upstream.url, consumer("read")))) as client:
        said = await client.call("files_await_upload", arguments)

    assert said["isError"] is True
    assert "link_id" in said["content"][0]["text"]


async def test_a_link_of_another_session_is_refused(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url, consumer("read")))
    async with connected(config) as client, aiohttp.ClientSession() as http:
        ticket = await _ticket(client)
        await client.upload(ticket["upload_url"], ("a", b"abc"))
        stranger = Client(http, client.base, client.mount)
        await stranger.initialize()

        said = await stranger.call("files_await_upload", {"link_id": ticket["link_id"], "wait_seconds": 0})

    assert said["isError"] is True
    assert "another session" in said["content"][0]["text"]


async def test_a_resumable_upload_that_lapsed_is_waited_for_no_more(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(fresh_backing.config(entry(upstream.url, consumer("read")))) as client:
        ticket = await _ticket(client)
        begin = {"Tus-Resumable": "1.0.0", "Upload-Length": "9"}
        async with client.http.post(ticket["upload_url"], headers=begin) as answer:
            capability = answer.headers["Location"].rsplit("/", 1)[1]
        before = await _wait(client, ticket["link_id"], 0)
        with Redis.from_url(fresh_backing.redis_url) as redis:
            redis.delete(Keys("longshore").resumable(capability))   # as its time to live does
        after = await _wait(client, ticket["link_id"], 0)
        sent = await client.upload(ticket["upload_url"], ("a", b"a"))

    assert (before["status"], after["status"]) == ("receiving", "waiting")
    assert sent.status == 200
