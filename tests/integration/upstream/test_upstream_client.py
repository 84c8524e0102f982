"""Upstream client against well-behaved and misbehaving servers, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from longshore.gateway.upstream.client import UpstreamClient, UpstreamResponse
from longshore.shared.config import Server, Upstream
from longshore.shared.errors import BadRequest, LongshoreError, UpstreamDown, UpstreamTimeout
from tests.fixtures.processes import free_port
from tests.fixtures.raw_server import RawConnection, RawServer, always, answering, raw_server

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"


@asynccontextmanager
async def client_of(server: RawServer | str, **upstream: object) -> AsyncIterator[UpstreamClient]:
    """Client of `server`, closed at the end."""
    url = server if isinstance(server, str) else server.url
    client = UpstreamClient(Server(id="raw", mount_path="/raw", upstream=Upstream(url=url, **upstream)))  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.close()


async def post(client: UpstreamClient, body: bytes = b"{}", *, within_s: float | None = 5) -> bytes:
    """Send one POST and return the body of the response."""
    async with client.exchange("POST", {"Accept": "x"}, body, timeout_s=within_s) as answer:
        return await answer.read()


async def test_a_request_arrives_as_it_was_meant() -> None:
    async with raw_server(always(_OK)) as server, client_of(server) as client:
        async with client.exchange("POST", {"Accept": "a", "X-Own": "b"}, b"hello") as answer:
            assert (answer.status, answer.content_type, answer.length) == (200, "application/json", 2)
            assert await answer.read_short() == b"{}"
        async with client.exchange("DELETE", {"Mcp-Session-Id": "s"}) as answer:
            assert await answer.read() == b"{}"

    host = f"Host: 127.0.0.1:{server.port}\r\n"
    assert server.requests == [
        f"POST /mcp?key=a%2Fb HTTP/1.1\r\n{host}Accept: a\r\nX-Own: b\r\nContent-Length: 5\r\n\r\nhello".encode(),
        f"DELETE /mcp?key=a%2Fb HTTP/1.1\r\n{host}Mcp-Session-Id: s\r\n\r\n".encode(),
    ]


async def test_a_connection_carries_one_request_after_the_other() -> None:
    async with raw_server(always(_OK)) as server, client_of(server) as client:
        for _ in range(20):
            assert await post(client) == b"{}"

    assert len(server.connections) == 1


async def test_calls_at_the_same_time_have_connections_of_their_own() -> None:
    async with raw_server(always(_OK)) as server, client_of(server) as client:
        answers = await asyncio.gather(*(post(client, within_s=30) for _ in range(300)))

    assert answers == [b"{}"] * 300
    assert len(server.connections) <= 256


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    _OK + b"surplus",
    _OK + _OK,
])  # fmt: skip
async def test_a_connection_that_cannot_be_trusted_is_not_used_again(answer: bytes) -> None:
    async with raw_server(always(answer)) as server, client_of(server) as client:
        assert [await post(client) for _ in range(3)] == [b"{}"] * 3
        await server.until_open(0)

    assert len(server.connections) == 3


async def test_interim_answers_chunks_with_extensions_and_trailers_are_understood() -> None:
    body = b"1;a=b\r\n{\r\n1\r\n}\r\n0\r\nX-Trailer: 1\r\n\r\n"
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + _CHUNKED + body
    async with raw_server(always(answer)) as server, client_of(server) as client:
        assert [await post(client) for _ in range(2)] == [b"{}", b"{}"]

    assert len(server.connections) == 1


async def test_a_body_may_end_with_the_connection() -> None:
    async with raw_server(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")) as server, client_of(server) as client:
        assert await post(client) == b"until the end"


async def test_a_half_close_after_the_answer_does_no_harm() -> None:
    async def half_close(connection: RawConnection) -> None:
        await connection.request()
        await connection.say(_OK)
        connection.writer.write_eof()
        await connection.until_closed()

    async with raw_server(half_close) as server, client_of(server) as client:
        for _ in range(3):
            assert await post(client) == b"{}"
            await server.until_open(0)    # the client's side closes too


@pytest.mark.parametrize("answer", [
    b"",
    b"HTTP/1.1 2",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
    _CHUNKED + b"5\r\nhello\r\n",
    _CHUNKED + b"5\r\nhel",
    _CHUNKED + b"oops\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"<html>oops</html>",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
])  # fmt: skip
async def test_a_broken_answer_is_an_error_and_never_a_short_one(answer: bytes) -> None:
    async with raw_server(answering(answer)) as server, client_of(server) as client:
        with pytest.raises(UpstreamDown):
            await post(client)
        await server.until_open(0)


async def test_an_endless_head_is_cut_off() -> None:
    async def endless(connection: RawConnection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await connection.say(b"X: y\r\n" * 100)

    async with raw_server(endless) as server, client_of(server) as client:
        with pytest.raises(UpstreamDown, match="larger than"):
            await post(client)
        await server.until_open(0)


async def test_a_slow_drip_arrives_whole() -> None:
    async def drip(connection: RawConnection) -> None:
        await connection.request()
        for byte in _CHUNKED + b"2\r\n{}\r\n0\r\n\r\n":
            await connection.say(bytes([byte]))
            await asyncio.sleep(0.001)
        await connection.until_closed()

    async with raw_server(drip) as server, client_of(server) as client:
        assert await post(client) == b"{}"


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n", _STREAM + b"\r\n: tick\n\n"])
async def test_the_deadline_is_for_the_whole_answer(begun: bytes) -> None:
    async def hang(connection: RawConnection) -> None:
        await connection.request()
        await connection.say(begun)
        await connection.until_closed()

    async with raw_server(hang) as server, client_of(server) as client:
        started = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamTimeout):
            await post(client, within_s=0.1)
        assert asyncio.get_running_loop().time() - started < 2
        await server.until_open(0)


async def test_an_answer_that_has_come_whole_is_read_after_the_deadline() -> None:
    async with raw_server(always(_OK)) as server, client_of(server) as client:
        async with client.exchange("POST", {}, b"{}", timeout_s=0.05) as answer:
            await asyncio.sleep(0.15)
            assert await answer.read() == b"{}"
        assert await post(client) == b"{}"


async def test_a_stream_arrives_event_by_event() -> None:
    go_on = asyncio.Event()

    async def stream(connection: RawConnection) -> None:
        await connection.request()
        await connection.say(_STREAM + b"\r\nfirst")
        await go_on.wait()
        await connection.say(b"second")

    async with raw_server(stream) as server, client_of(server) as client, client.exchange("GET", {}) as answer:
        assert (answer.is_stream, answer.length, await answer.read_short()) == (True, None, None)
        chunks = answer.chunks()
        assert await anext(chunks) == b"first"
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"second"]


async def test_a_server_waits_for_whoever_reads_its_answer() -> None:
    piece, sent = b"x" * 65536, 0

    async def flood(connection: RawConnection) -> None:
        nonlocal sent
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1024 * len(piece)))
        for _ in range(1024):
            await connection.say(piece)
            sent += 1
        await connection.until_closed()

    async with raw_server(flood) as server, client_of(server) as client, client.exchange("GET", {}) as answer:
        await _settled(lambda: sent)
        # 64 MiB are on their way; what fits into the sockets' buffers and ours has been sent, and no more.
        assert sent < 512
        assert sum([len(chunk) async for chunk in answer.chunks()]) == 1024 * len(piece)


async def _settled(value: Callable[[], int]) -> None:
    """Wait until `value()` does not change any more."""
    before = -1
    while before != (now := value()):
        before = now
        await asyncio.sleep(0.1)


async def test_an_answer_that_is_left_closes_its_connection() -> None:
    async def flood(connection: RawConnection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            await connection.say(b"x" * 65536)

    async with raw_server(flood) as server, client_of(server) as client:
        async with client.exchange("GET", {}) as answer:
            assert await anext(answer.chunks())
        await server.until_open(0)


async def test_an_answer_above_the_limit_is_refused() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
    async with raw_server(always(answer)) as server, client_of(server) as client:
        with pytest.raises(UpstreamDown, match="larger than"):
            async with client.exchange("POST", {}, b"{}") as found:
                await found.read(999)


@pytest.mark.parametrize("begun", [b"", _STREAM + b"\r\n: tick\n\n"])
async def test_a_caller_that_gives_up_closes_the_connection(begun: bytes) -> None:
    asked = asyncio.Event()

    async def hang(connection: RawConnection) -> None:
        await connection.request()
        await connection.say(begun)
        asked.set()
        await connection.until_closed()

    async with raw_server(hang) as server, client_of(server) as client:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(post(client, within_s=None))
            await asked.wait()
            asking.cancel()

        await server.until_open(0)
        assert asking.cancelled()


async def test_a_closed_idle_connection_is_not_used() -> None:
    async with raw_server(answering(_OK)) as server, client_of(server) as client:
        for _ in range(5):
            assert await post(client) == b"{}"
            await server.until_open(0)

    assert len(server.connections) == 5


async def test_a_post_is_never_sent_twice() -> None:
    """A server that closes on the second request may have acted on it."""
    async with raw_server(answering(_OK, b"")) as server, client_of(server) as client:
        assert await post(client) == b"{}"
        with pytest.raises(UpstreamDown):
            await post(client)

        assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_what_may_be_repeated_is_sent_again_once(method: str) -> None:
    async with raw_server(answering(_OK, b""), always(_OK)) as server, client_of(server) as client:
        assert await post(client) == b"{}"
        async with client.exchange(method, {}) as answer:
            assert await answer.read() == b"{}"

        assert len(server.requests) == 3


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_what_failed_on_a_fresh_connection_is_not_sent_again(method: str) -> None:
    async with raw_server(answering(b"")) as server, client_of(server) as client:
        with pytest.raises(UpstreamDown):
            async with client.exchange(method, {}):
                pass

        assert len(server.requests) == 1


async def test_a_server_that_answers_before_it_has_read_the_body_is_heard() -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"

    async def refuse(connection: RawConnection) -> None:
        await connection.reader.readuntil(b"\r\n\r\n")
        await connection.say(refusal)
        await connection.until_closed()

    async with (
        raw_server(refuse) as server, client_of(server) as client,
        client.exchange("POST", {}, b"x" * 30_000_000, timeout_s=5) as answer,
    ):
        assert (answer.status, await answer.read()) == (413, b"big")


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with (
        raw_server(always(answer)) as server, client_of(server) as client, client.exchange("POST", {}, b"{}") as found
    ):
        assert found.status == 307

    assert len(server.requests) == 1


async def test_a_compressed_answer_stays_as_it_is() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    async with raw_server(always(answer)) as server, client_of(server) as client:
        assert await post(client) == b"\x1f\x8b\x08\x00"

    assert b"accept-encoding" not in server.requests[0].lower()


async def test_a_header_with_a_line_break_never_leaves() -> None:
    async with raw_server(always(_OK)) as server, client_of(server) as client:
        with pytest.raises(BadRequest):
            async with client.exchange("POST", {"X": "a\r\nEvil: 1"}, b"{}"):
                pass

    assert server.connections == []


async def test_credentials_of_the_url_and_a_host_of_the_configuration_travel() -> None:
    async with raw_server(always(_OK)) as server:
        url = server.url.replace("//", "//me:se%20cret@")
        async with client_of(url, static_headers={"Host": "inner.example"}) as client:
            await post(client)

    assert b"\r\nAuthorization: Basic bWU6c2UgY3JldA==\r\n" in server.requests[0]
    assert server.requests[0].count(b"Host: ") == 1
    assert b"\r\nHost: inner.example\r\n" in server.requests[0]


async def test_a_server_that_is_not_there_is_down() -> None:
    async with client_of(f"http://127.0.0.1:{free_port()}/mcp") as client:
        with pytest.raises(UpstreamDown, match="cannot be reached"):
            await post(client)


async def test_a_name_that_does_not_exist_is_down() -> None:
    async with client_of("http://nowhere.invalid/mcp") as client:
        with pytest.raises(UpstreamDown, match="cannot be reached"):
            await post(client)


async def test_a_closed_client_fails_what_runs_and_what_comes() -> None:
    asked = asyncio.Event()

    async def hang(connection: RawConnection) -> None:
        await connection.request()
        asked.set()
        await connection.until_closed()

    async def ask(client: UpstreamClient) -> LongshoreError | bytes:
        try:
            return await post(client)
        except LongshoreError as err:
            return err

    async with raw_server(hang) as server, client_of(server) as client:
        async with asyncio.TaskGroup() as running:
            asking = running.create_task(ask(client))
            await asked.wait()
            await client.close()
        await server.until_open(0)

        assert isinstance(asking.result(), UpstreamDown)
        assert isinstance(await ask(client), UpstreamDown)


async def test_a_response_exposes_its_status_and_headers() -> None:
    head = (
        b"HTTP/1.1 405 Method Not Allowed\r\nCONTENT-TYPE:  Text/Plain ; charset=utf-8 \r\nmcp-session-id: abc\r\n"
        b"Allow: POST\r\nContent-Length: 0\r\n\r\n"
    )

    async def read(answer: UpstreamResponse) -> tuple[str, ...]:
        return answer.media_type, answer.content_type, answer.session_id, answer.forwarded_headers.get("Allow", "")

    async with raw_server(always(head)) as server, client_of(server) as client, client.exchange("GET", {}) as answer:
        assert await read(answer) == ("Text/Plain ; charset=utf-8", "text/plain", "abc", "POST")
