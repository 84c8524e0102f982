"""Server-sent events: independent of the chunks, and kept byte for byte."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.wire.sse import Event, Parser, event
from longshore.shared.errors import UpstreamDown

_LIMIT = 1_000_000
_line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
_lines = st.sampled_from([
    b"", b"", b"data: one", b"data:two", b"data", b"data:  kept blank", b"data: {\"a\":1}", b"event: message", b"id: 7",
    b"retry: 10", b": a comment", b"unknown: field", "data: ü".encode(), b"database: no data",
])
_streams = st.lists(st.tuples(_lines, _line_ends).map(b"".join), max_size=25).map(b"".join)


def _events(stream: bytes, cuts: list[int] | None = None) -> tuple[list[Event], bytes]:
    """Feed `stream` in pieces that end at `cuts`; returns the events and the rest."""
    parser, start = Parser(_LIMIT), 0
    found: list[Event] = []
    for end in [*sorted(cut % (len(stream) + 1) for cut in cuts or []), len(stream)]:
        found += parser.feed(stream[start:end])
        start = end
    return found, parser.rest()


def _blocks(stream: bytes) -> list[list[bytes]]:
    """Split the whole stream at once into the lines of each complete event."""
    blocks: list[list[bytes]] = []
    block: list[bytes] = []
    for line in re.split(rb"\r\n|\r|\n", stream)[:-1]:
        if line:
            block.append(line)
        elif block:
            blocks.append(block)
            block = []
    return blocks


def _data(block: list[bytes]) -> bytes:
    values = [line.partition(b":")[2] for line in block if line.partition(b":")[0] == b"data"]
    return b"\n".join(value.removeprefix(b" ") for value in values)


@given(_streams, st.lists(st.integers(0, 10_000), max_size=8))
def test_any_chunking_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    found, _ = _events(stream, cuts)

    assert [found_event.data for found_event in found] == [_data(block) for block in _blocks(stream)]


@given(_streams)
def test_byte_by_byte_gives_the_same_events(stream: bytes) -> None:
    found, _ = _events(stream, list(range(len(stream))))

    assert [found_event.data for found_event in found] == [_data(block) for block in _blocks(stream)]


@given(_streams, st.lists(st.integers(0, 10_000), max_size=8))
def test_what_came_is_passed_on_as_it_came(stream: bytes, cuts: list[int]) -> None:
    found, rest = _events(stream, cuts)

    joined = b"".join(found_event.source for found_event in found) + rest
    assert _blocks(joined) == _blocks(stream)
    assert _without_blank_lines(joined) == _without_blank_lines(stream)


def _without_blank_lines(stream: bytes) -> bytes:
    return stream.replace(b"\r", b"").replace(b"\n", b"")


def test_a_stream_without_superfluous_lines_keeps_every_byte() -> None:
    stream = b"id: 1\r\ndata: a\r\n\r\n: ping\n\nevent: x\rdata: b\r\rdata: c\n\r\ndata: unfinished"

    found, rest = _events(stream, [5, 19, 20, 40])

    assert b"".join(found_event.source for found_event in found) + rest == stream
    assert rest == b"data: unfinished"


@given(_streams, st.sampled_from([b"{}", b'{"b":2}', b'{\n "b":\r\n 2\r}']))
def test_other_data_leaves_the_rest_of_an_event_alone(stream: bytes, data: bytes) -> None:
    found, _ = _events(stream)

    changed, rest = _events(b"".join(found_event.with_data(data) for found_event in found))

    assert rest == b""
    assert [b"".join(found_event.data.split()) for found_event in changed] == [b"".join(data.split())] * len(found)
    assert [_other_lines(found_event) for found_event in changed] == [_other_lines(before) for before in found]


def _other_lines(found_event: Event) -> list[bytes]:
    (block,) = _blocks(found_event.source)
    return [line for line in block if line.partition(b":")[0] != b"data"]


def test_an_event_of_ours_carries_its_data() -> None:
    (found,), rest = _events(event(b'{"a":\n1}'))

    assert (found.data, rest) == (b'{"a":\n1}', b"")
    assert found.source.startswith(b"event: message\n")


def test_an_unfinished_event_may_grow_to_the_limit_and_no_further() -> None:
    parser = Parser(100)

    assert list(parser.feed(b"data: " + b"x" * 94)) == []
    with pytest.raises(UpstreamDown, match="100 bytes"):
        list(parser.feed(b"x"))


def test_the_limit_is_for_each_event() -> None:
    parser = Parser(20)

    found = list(parser.feed(b"data: 0123456789\n\n" * 50))

    assert len(found) == 50
