"""`subscriptions/listen` of modern clients over a legacy server: one stream and one set of subscriptions for all."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.web import Request, Response, StreamResponse, TCPSite
from redis import Redis

from longshore.gateway.app import public_runner
from longshore.gateway.mcp.subscriptions.feeds import FEEDS
from longshore.shared.clock import monotonic_s
from longshore.shared.metrics import Metrics
from tests.fixtures.change_streams import PREFIX, SUBSCRIPTION, VERSION, Changing, Stream, listening, with_sessions
from tests.fixtures.gateway import ACCEPT, Backing, Client, connected, entry, gateway, producer
from tests.fixtures.leaks import holdings, left_behind
from tests.fixtures.upstreams import ScriptedUpstream, Seen, stream

_ALL: dict[str, Any] = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
_TIMEOUT_S = 20


@pytest.fixture
def changing(upstream: ScriptedUpstream) -> Changing:
    return with_sessions(upstream)


def _key_base(backing: Backing, name: str) -> dict[str, object]:
    """Configure a scope of the test's own: without authentication all clients are one principal."""
    return {"type": "redis", "redis": {"url": backing.redis_url, "key_base": name}}


@pytest.mark.requirement("subscriptions.acknowledged", "subscriptions.id")
async def test_a_subscriber_gets_the_changes_that_it_subscribed_to(shared_backing: Backing, changing: Changing) -> None:
    """The acknowledgement comes first, and everything has its subscription id."""
    config = shared_backing.config(
        entry(changing.upstream.url), state_persistence=_key_base(shared_backing, "asked")
    )
    async with connected(config, initialize=False) as client:
        url = client.base + client.mount
        async with listening(
            client.http, url, "listen-7", toolsListChanged=True, resourceSubscriptions=["sea://chart"]
        ) as subscriber:
            acknowledged = await subscriber.message()
            await changing.notify("message", level="info", data="no")
            await changing.notify("prompts/list_changed")
            await changing.notify("tools/list_changed")
            await changing.notify("resources/updated", uri="sea://other")
            await changing.notify("resources/updated", uri="sea://chart", _meta={"x/own": 1})
            received = [await subscriber.message() for _ in range(2)]
            subscribed = changing.watched

    meta = {SUBSCRIPTION: "listen-7"}
    assert acknowledged == {
        "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
        "params": {"_meta": meta, "notifications": {
            "toolsListChanged": True, "resourceSubscriptions": ["sea://chart"],
        }},
    }
    assert received == [
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": meta}},
        {"jsonrpc": "2.0", "method": "notifications/resources/updated",
         "params": {"uri": "sea://chart", "_meta": {"x/own": 1, **meta}}},
    ]
    assert subscribed == {"sea://chart"}


async def test_a_server_without_change_notifications_is_acknowledged_with_an_empty_filter(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Longshore's own resources are in the filter where the mount has any."""
    config = shared_backing.config(
        entry(upstream.url), entry(upstream.url, producer("write")) | {"id": "own", "mount_path": "/mcp/own"}
    )
    async with connected(config, initialize=False) as client:
        async with listening(client.http, client.base + client.mount, resourceSubscriptions=["a://b"], **_ALL) as one:
            nothing = await one.message()
        async with listening(client.http, f"{client.base}/mcp/own", **_ALL) as other:
            ours = await other.message()

    assert nothing["params"]["notifications"] == {}
    assert ours["params"]["notifications"] == {"resourcesListChanged": True}


async def test_hundreds_of_subscribers_at_two_gateways_share_one_upstream_stream(
    shared_backing: Backing, changing: Changing
) -> None:
    """The end of the last one closes it and its subscriptions."""
    config = shared_backing.config(
        entry(changing.upstream.url), state_persistence=_key_base(shared_backing, "hundreds")
    )
    http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with gateway(config) as first, gateway(config) as second, http, AsyncExitStack() as open_streams:
        async def listen(number: int) -> Stream:
            base = (first, second)[number % 2]
            uris = ["sea://all", f"sea://{number % 5}"]
            return await open_streams.enter_async_context(
                listening(http, base + "/mcp/files", number, toolsListChanged=True, resourceSubscriptions=uris)
            )

        subscribers = await asyncio.gather(*(listen(number) for number in range(200)))
        await asyncio.gather(*(subscriber.message() for subscriber in subscribers))
        await changing.notify("tools/list_changed")
        await changing.notify("resources/updated", uri="sea://3")
        received = await asyncio.gather(*(
            subscriber.methods(2 if number % 5 == 3 else 1) for number, subscriber in enumerate(subscribers)
        ))
        await changing.until(1)
        subscribed = changing.watched
        await open_streams.aclose()
        await changing.until(0)
        async with asyncio.timeout(_TIMEOUT_S):
            while changing.watched:
                await asyncio.sleep(0.01)

    assert subscribed == {"sea://all", *(f"sea://{number}" for number in range(5))}
    assert received[3] == ["tools/list_changed", "resources/updated"]
    assert received[4] == ["tools/list_changed"]


async def test_a_resource_without_subscribers_is_unsubscribed(
    shared_backing: Backing, changing: Changing
) -> None:
    config = shared_backing.config(entry(changing.upstream.url), state_persistence=_key_base(shared_backing, "leaves"))
    async with connected(config, initialize=False) as client, gateway(config) as second:
        url = client.base + client.mount
        async with listening(client.http, url, resourceSubscriptions=["a://1", "a://2"]) as stays:
            await stays.message()
            async with listening(client.http, second + client.mount, resourceSubscriptions=["a://2", "a://3"]) as goes:
                await goes.message()
                together = changing.watched
            async with asyncio.timeout(_TIMEOUT_S):
                while changing.watched != {"a://1", "a://2"}:
                    await asyncio.sleep(0.01)
            await changing.notify("resources/updated", uri="a://2")
            received = await stays.methods(1)

    assert together == {"a://1", "a://2", "a://3"}
    assert received == ["resources/updated"]


async def test_a_stream_that_the_server_ends_is_opened_again_and_subscribers_are_resynchronised(
    shared_backing: Backing, changing: Changing
) -> None:
    config = shared_backing.config(entry(changing.upstream.url), state_persistence=_key_base(shared_backing, "again"))
    async with (
        connected(config, initialize=False) as client,
        listening(client.http, client.base + client.mount, toolsListChanged=True) as subscriber,
    ):
        await subscriber.message()
        changing.end()
        missed = await subscriber.methods(1)
        await changing.until(1)
        await changing.notify("tools/list_changed")
        received = await subscriber.methods(1)

    assert missed == received == ["tools/list_changed"]
    assert changing.opened == 2


async def test_a_change_notification_within_a_response_reaches_subscribers(
    shared_backing: Backing, changing: Changing
) -> None:
    async def notify_first(seen: Seen) -> aiohttp.web.StreamResponse:
        return await stream(
            seen, b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n',
            b'data: {"jsonrpc":"2.0","id":"%s","result":{"content":[]}}\n\n' % seen.message["id"].encode(),
        )

    changing.upstream.behaviours["tools/call"] = notify_first
    config = shared_backing.config(entry(changing.upstream.url), state_persistence=_key_base(shared_backing, "within"))
    async with connected(config, initialize=False) as client:
        url = client.base + client.mount
        async with listening(client.http, url, toolsListChanged=True) as subscriber:
            await subscriber.message()
            meta = {f"{PREFIX}protocolVersion": VERSION, f"{PREFIX}clientCapabilities": {}}
            message = {
                "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "echo", "_meta": meta},
            }
            head = {**ACCEPT, "MCP-Protocol-Version": VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "echo"}
            async with client.http.post(url, json=message, headers=head) as answer:
                called = await answer.read()
            received = await subscriber.methods(1)

    assert received == ["tools/list_changed"]
    assert b"list_changed" not in called


async def test_a_session_per_call_has_no_change_stream(shared_backing: Backing, changing: Changing) -> None:
    config = shared_backing.config(entry(changing.upstream.url, sessionless_clients="per_call"))
    async with (
        connected(config, initialize=False) as client,
        listening(client.http, client.base + client.mount, **_ALL) as subscriber,
    ):
        opened = len(changing.upstream.calls("initialize"))
        acknowledged = await subscriber.message()

    assert acknowledged["params"]["notifications"] == {}
    assert changing.opened == 0
    assert opened <= 1           # by the era probe


async def test_a_slow_subscriber_gets_an_error_and_delays_no_other(
    shared_backing: Backing, changing: Changing
) -> None:
    """The error is on its stream, after the messages sent before."""
    key_base = _key_base(shared_backing, "slow")
    config = shared_backing.config(entry(changing.upstream.url), state_persistence=key_base)
    uris = [f"sea://all/{number}/{'x' * 8000}" for number in range(900)]    # within the resource that it subscribed to
    received = []
    async with connected(config, initialize=False) as client, _unread(client) as slow:
        url = client.base + client.mount
        async with listening(client.http, url, "quick", toolsListChanged=True) as quick:
            await quick.message()
            slow.send("sea://all")
            acknowledged = await slow.read_until(b"acknowledged")
            for _ in range(3):               # far more than sockets and queues hold
                for uri in uris:
                    await changing.notify("resources/updated", uri=uri)
                await changing.notify("tools/list_changed")
                received += await quick.methods(1)
            last = await slow.read_until(b"slow_listener")

    assert acknowledged.startswith(b"HTTP/1.1 200")
    assert received == ["tools/list_changed"] * 3
    assert b'"id":"slow","error"' in last


class _Unread:
    """Client with a small receive buffer that reads only when the test reads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
        self._reader = reader
        self._writer = writer
        self._path = path

    def send(self, uri: str) -> None:
        meta = {f"{PREFIX}protocolVersion": VERSION, f"{PREFIX}clientCapabilities": {}}
        body = msgspec.json.encode({
            "jsonrpc": "2.0", "id": "slow", "method": "subscriptions/listen",
            "params": {"_meta": meta, "notifications": {"resourceSubscriptions": [uri]}},
        })
        headers = {
            **ACCEPT, "MCP-Protocol-Version": VERSION, "Mcp-Method": "subscriptions/listen", "Host": "127.0.0.1",
            "Content-Type": "application/json", "Content-Length": str(len(body)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._writer.write(f"POST {self._path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def read_until(self, wanted: bytes) -> bytes:
        """Read until `wanted` has come; return the last of it."""
        seen = b""
        async with asyncio.timeout(_TIMEOUT_S):
            while wanted not in seen:
                chunk = await self._reader.read(65_536)
                assert chunk, seen[-200:]
                seen = seen[-65_536:] + chunk
        return seen


@asynccontextmanager
async def _unread(client: Client) -> AsyncIterator[_Unread]:
    port = int(client.base.rpartition(":")[2])
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
        try:
            yield _Unread(reader, writer, client.mount)
        finally:
            writer.close()


async def test_subscribers_leave_nothing_behind(fresh_backing: Backing, changing: Changing) -> None:
    """Some disconnect after the acknowledgement, others before it."""
    runner = public_runner(fresh_backing.config(entry(changing.upstream.url)), Metrics())
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp/files"

    async def subscribe_and_leave(number: int, patience_s: float) -> None:
        uris = [f"sea://{number}"]
        async with aiohttp.ClientSession() as http:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s), listening(http, url, number, resourceSubscriptions=uris) as one:
                    await one.message()

    await subscribe_and_leave(0, _TIMEOUT_S)
    before = holdings(runner.app, fresh_backing.redis_url)
    patience_s = [_TIMEOUT_S if number % 2 else number / 500 for number in range(60)]
    await asyncio.gather(*(subscribe_and_leave(number, timeout_s) for number, timeout_s in enumerate(patience_s)))
    left = await left_behind(runner.app, fresh_backing.redis_url, before)
    async with asyncio.timeout(_TIMEOUT_S):
        while runner.app[FEEDS].count or changing.watched:
            await asyncio.sleep(0.01)
    with Redis.from_url(fresh_backing.redis_url) as redis:
        kept = [key for pattern in ("feed:*", "feed_wants:*") for key in redis.scan_iter(f"longshore:{pattern}")]
    await runner.cleanup()

    assert left == {}
    assert kept == []


async def test_a_stream_ends_with_its_result_when_its_gateway_drains_and_others_continue(
    shared_backing: Backing, changing: Changing
) -> None:
    """Another gateway opens the upstream's stream at once, and its subscribers are resynchronised."""
    key_base = _key_base(shared_backing, "drains")
    config = shared_backing.config(entry(changing.upstream.url), state_persistence=key_base)
    runner = public_runner(config, Metrics())
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0).start()
    drained = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp/files"
    async with (
        connected(config, initialize=False) as client,
        listening(client.http, drained, "goes", toolsListChanged=True) as goes,
    ):
        await goes.message()
        async with listening(client.http, client.base + client.mount, "stays", toolsListChanged=True) as stays:
            await stays.message()
            _, last = await asyncio.gather(runner.cleanup(), goes.message())
            missed = await stays.methods(1)
            await changing.until(1)
            await changing.notify("tools/list_changed")
            received = await stays.methods(1)

    assert last["result"]["resultType"] == "complete"
    assert (last["id"], last["result"]["_meta"][SUBSCRIPTION]) == ("goes", "goes")
    assert missed == received == ["tools/list_changed"]


async def test_a_stream_that_ends_at_once_is_opened_again_with_back_off(
    shared_backing: Backing, changing: Changing
) -> None:
    """The subscriber's stream stays open, and it is resynchronised each time."""

    async def ends(request: Request) -> StreamResponse:
        changing.opened += 1
        response = StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        return response

    changing.upstream.on_get = ends
    config = shared_backing.config(entry(changing.upstream.url), state_persistence=_key_base(shared_backing, "at-once"))
    started_s = monotonic_s()
    async with (
        connected(config, initialize=False) as client,
        listening(client.http, client.base + client.mount, toolsListChanged=True) as subscriber,
    ):
        await subscriber.message()
        await subscriber.methods(3)
        took_s = monotonic_s() - started_s

    assert took_s > 0.1 + 0.5 + 1.0


@pytest.mark.parametrize("trouble", ["refuses", "hangs up", "has lost the session"])
async def test_a_failing_subscription_does_not_affect_others(
    shared_backing: Backing, changing: Changing, trouble: str
) -> None:
    """A lost session is opened again, with all subscriptions."""
    bad: list[str] = []

    async def subscribe(seen: Seen) -> dict[str, Any] | StreamResponse:
        if seen.params["uri"] != "sea://bad" or (bad and trouble == "has lost the session"):
            return await changing.subscribe(seen)
        bad.append(trouble)
        if trouble == "refuses":
            error = {"code": -32602, "message": "no such resource"}
            return {"jsonrpc": "2.0", "id": seen.message["id"], "error": error}
        if trouble == "has lost the session":
            changing.lost.add(seen.request.headers["Mcp-Session-Id"])
            return Response(status=404)
        assert seen.request.transport is not None
        seen.request.transport.abort()
        return Response()

    changing.upstream.behaviours["resources/subscribe"] = subscribe
    config = shared_backing.config(
        entry(changing.upstream.url), state_persistence=_key_base(shared_backing, f"bad-{len(trouble)}")
    )
    async with connected(config, initialize=False) as client:
        url, uris = client.base + client.mount, ["sea://bad", "sea://good"]
        async with listening(client.http, url, resourceSubscriptions=uris) as subscriber:
            await subscriber.message()
            if trouble == "has lost the session":
                async with asyncio.timeout(_TIMEOUT_S):
                    while changing.opened < 2 or not {"sea://bad", "sea://good"} <= changing.watched:
                        await asyncio.sleep(0.01)
                await subscriber.methods(2)    # of both: changes may have been missed
            await changing.notify("resources/updated", uri="sea://good")
            received = await subscriber.message()

    assert received["params"]["uri"] == "sea://good"
