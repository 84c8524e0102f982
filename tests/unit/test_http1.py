"""HTTP/1.1 client codec against malformed and hostile responses."""

import pytest

from longshore.gateway.upstream.http1 import MAX_HEAD_BYTES, ResponseParser, request_head
from longshore.shared.errors import BadRequest, UpstreamDown

_BEGIN = b"POST /mcp HTTP/1.1\r\nHost: here\r\n"
_HEAD = b"HTTP/1.1 200 OK\r\n"


def _fed(data: bytes, *, step: int | None = None, body: bool = True) -> ResponseParser:
    """Parse `data` in pieces of `step` bytes."""
    responses = ResponseParser()
    responses.expect(body=body)
    size = step or len(data)
    for at in range(0, len(data), size):
        responses.feed(data[at:at + size])
    return responses


def test_a_request_head_is_what_the_server_should_read() -> None:
    head = request_head(_BEGIN, {"Accept": "a, b", "X-Name": "Zoë"}, 12)

    assert head == _BEGIN + "Accept: a, b\r\nX-Name: Zoë\r\nContent-Length: 12\r\n\r\n".encode()


def test_a_request_without_body_announces_none() -> None:
    assert request_head(_BEGIN, {}, None) == _BEGIN + b"\r\n"
    assert request_head(_BEGIN, {"Accept": "x"}, None) == _BEGIN + b"Accept: x\r\n\r\n"


def test_bytes_of_a_callers_header_travel_as_they_came() -> None:
    value = b"caf\xe9".decode("utf-8", "surrogateescape")

    assert b"X: caf\xe9\r\n" in request_head(_BEGIN, {"X": value}, None)


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "a\r\n\r\nGET / HTTP/1.1", "a\0b", "\n"])
@pytest.mark.parametrize("others", [{}, {"A": "b"}])
def test_no_header_breaks_out_of_its_line(value: str, others: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        request_head(_BEGIN, {**others, "X": value}, 1)
    with pytest.raises(BadRequest):
        request_head(_BEGIN, {"X": value, **others}, 1)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", "Content-Length", "transfer-encoding", "Connection"])
def test_names_that_are_none_and_names_of_framing_are_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        request_head(_BEGIN, {name: "1"}, 1)


def test_host_is_sent_once() -> None:
    assert request_head(_BEGIN, {"HOST": "elsewhere", "A": "b"}, None) == _BEGIN + b"A: b\r\n\r\n"


@pytest.mark.parametrize("step", [None, 1, 7])
def test_a_body_of_known_length(step: int | None) -> None:
    response = _fed(_HEAD + b"X-A: first\r\nx-a: second\r\nContent-Length: 5\r\n\r\nhello", step=step)

    assert (response.status, response.is_complete, response.keeps_alive) == (200, True, True)
    assert response.take() == b"hello"
    assert response.headers[b"x-a"] == b"first"


@pytest.mark.parametrize("step", [None, 1000, 65536, 99_999])
@pytest.mark.parametrize(("surplus", "goes_on"), [(b"", True), (b"x", False), (_HEAD + b"\r\nevil", False)])
def test_a_large_body_of_known_length(step: int | None, surplus: bytes, goes_on: bool) -> None:
    body = bytes(range(256)) * 1024

    response = _fed(_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + surplus, step=step)

    taken = b""
    while response.pieces:
        taken += response.take()
    assert (taken == body, response.unread_bytes) == (True, 0)
    assert (response.is_complete, response.keeps_alive) == (True, goes_on)


@pytest.mark.parametrize("step", [None, 1000, 65536])
def test_after_a_large_body_the_next_answer_is_understood(step: int | None) -> None:
    response = _fed(_HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 200_000, step=step)

    response.expect()
    response.feed(_HEAD + b"Content-Length: 2\r\n\r\nhi")

    assert (response.take(), response.is_complete, response.keeps_alive) == (b"hi", True, True)


def test_a_large_body_on_a_connection_that_closes() -> None:
    response = _fed(_HEAD + b"Connection: close\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000, step=50_000)

    assert (response.is_complete, response.keeps_alive) == (True, False)


@pytest.mark.parametrize("step", [None, 1, 7])
def test_chunks_with_extensions_and_trailers(step: int | None) -> None:
    body = b'3;name="a;b"\r\nhel\r\n2\r\nlo\r\n0\r\nContent-Type: text/evil\r\n\r\n'

    response = _fed(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body, step=step)

    assert (response.is_complete, response.keeps_alive, response.take()) == (True, True, b"hello")
    assert b"content-type" not in response.headers


@pytest.mark.parametrize("step", [None, 1])
def test_a_body_that_ends_with_the_connection(step: int | None) -> None:
    response = _fed(_HEAD + b"\r\nhello", step=step)
    assert not response.is_complete

    response.end()

    assert (response.is_complete, response.keeps_alive, response.take()) == (True, False, b"hello")


@pytest.mark.parametrize("step", [None, 1])
def test_interim_responses_are_skipped(step: int | None) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Type: text/evil\r\n\r\n"

    response = _fed(interim + _HEAD + b"Content-Length: 2\r\n\r\nhi", step=step)

    assert (response.status, response.take(), response.keeps_alive) == (200, b"hi", True)
    assert b"content-type" not in response.headers


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_statuses_that_never_have_a_body(status: bytes) -> None:
    response = _fed(b"HTTP/1.1 " + status + b"\r\n\r\n")

    assert (response.is_complete, response.keeps_alive) == (True, True)


def test_a_body_where_none_may_be_ends_the_connection() -> None:
    response = _fed(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")

    assert (response.is_complete, response.keeps_alive, response.pieces) == (True, False, [])


def test_the_answer_to_a_head_request_is_a_head() -> None:
    response = _fed(_HEAD + b"Content-Length: 5\r\n\r\n", body=False)

    assert (response.is_complete, response.keeps_alive) == (True, False)


@pytest.mark.parametrize("surplus", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"\0" * 40])
@pytest.mark.parametrize("together", [True, False])
def test_what_follows_the_answer_is_dropped_and_ends_the_connection(surplus: bytes, together: bool) -> None:
    answer = _HEAD + b"Content-Length: 2\r\n\r\nhi"

    response = _fed(answer + surplus if together else answer)
    if not together:
        response.feed(surplus)

    assert (response.status, response.is_complete, response.keeps_alive) == (200, True, False)
    assert response.take() == b"hi"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", _HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
])
def test_a_server_that_closes_is_taken_at_its_word(answer: bytes) -> None:
    response = _fed(answer)

    assert (response.is_complete, response.keeps_alive) == (True, False)


@pytest.mark.parametrize("answer", [
    b"<html>oops</html>",
    b"HTTP/2 200 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxyz",
    _HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    _HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    _HEAD + b"Content-Length: +2\r\n\r\nhi",
    _HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nhi",
    _HEAD + b"Content-Length : 2\r\n\r\nhi",
    _HEAD + b"X: a\0b\r\n\r\n",
    _HEAD + b"X: a\rb\r\n\r\n",
    _HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    _HEAD + b"Transfer-Encoding: gzip\r\n\r\nhi",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n",
])  # fmt: skip
@pytest.mark.parametrize("step", [None, 1])
def test_what_is_not_http_is_refused(answer: bytes, step: int | None) -> None:
    with pytest.raises(UpstreamDown):
        _fed(answer, step=step)


@pytest.mark.parametrize("answer", [
    b"", b"HTTP/1.1 2", _HEAD, b"HTTP/1.1 100 Continue\r\n\r\n", _HEAD + b"Content-Length: 5\r\n\r\nhell",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    _HEAD + b"Content-Length: 200000\r\n\r\n" + b"x" * 199_999,
])  # fmt: skip
@pytest.mark.parametrize("step", [None, 1000])
def test_a_truncated_answer_is_never_a_whole_one(answer: bytes, step: int | None) -> None:
    response = _fed(answer, step=step) if answer else ResponseParser()

    with pytest.raises(UpstreamDown):
        response.end()
    assert not response.is_complete


@pytest.mark.parametrize("head", [
    _HEAD + b"X: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
    _HEAD + b"X: y\r\n" * (MAX_HEAD_BYTES // 5) + b"\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD_BYTES // 20),
    b"HTTP/1.1 200 " + b"O" * 2 * MAX_HEAD_BYTES,
])  # fmt: skip
@pytest.mark.parametrize("step", [None, 4096])
def test_a_head_has_a_limit(head: bytes, step: int | None) -> None:
    with pytest.raises(UpstreamDown, match="larger than"):
        _fed(head, step=step)


@pytest.mark.parametrize("framing", [
    b"5;ext=" + b"x" * 2 * MAX_HEAD_BYTES,                 # an extension without end
    b"5\r\nhello\r\n0\r\nTrailer: " + b"x" * 3 * MAX_HEAD_BYTES,
])  # fmt: skip
def test_framing_without_body_has_a_limit(framing: bytes) -> None:
    with pytest.raises(UpstreamDown, match="no body"):
        _fed(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framing, step=1024)


def test_a_connections_second_answer_starts_afresh() -> None:
    response = _fed(_HEAD + b"Mcp-Session-Id: old\r\nContent-Length: 2\r\n\r\nhi")

    response.expect()
    response.feed(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    assert (response.status, response.headers.get(b"mcp-session-id")) == (202, None)
    assert (response.is_complete, response.keeps_alive, response.pieces) == (True, True, [])
