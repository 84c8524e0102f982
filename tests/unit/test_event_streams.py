"""Quiet streams are commented on, but never inside an event."""

import pytest
from aiohttp import web

from longshore.gateway.mcp.replies.event_streams import OpenStream


class _Recorder(web.StreamResponse):
    """A response that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)


@pytest.mark.parametrize(
    "written, comment",
    [
        (b"", True), (b"data: {}\n\n", True), (b"data: {}\r\n\r\n", True), (b"data: {}\r\r", True), (b": x\n\n", True),
        (b"data: {", False), (b"data: {}\n", False), (b"id: 1\n\ndata: ", False), (b"data: {}\r\n", False),
    ],
)
async def test_a_comment_goes_only_between_events(written: bytes, comment: bool) -> None:
    response = _Recorder()
    stream = OpenStream(response)
    if written:
        await stream.write(written)

    await stream.comment()

    assert response.sent == written + (b": keep-alive\n\n" if comment else b"")


@pytest.mark.parametrize("chunks", [(b"data: 1\n\n", b"data: 2\n\n"), (b"data: 1\n", b"\ndata: 2\n\n")])
async def test_an_event_of_ours_goes_between_two_others_and_once(chunks: tuple[bytes, bytes]) -> None:
    response = _Recorder()
    stream = OpenStream(response)
    await stream.write(chunks[0])

    wanted = [stream.put(b"data: ours\n\n"), stream.put(b"data: ours\n\n")]
    await stream.flush()
    await stream.write(chunks[1])
    await stream.flush()

    assert wanted == [True, False]
    assert response.sent.replace(b"data: ours\n\n", b"", 1) == b"data: 1\n\ndata: 2\n\n"
    assert response.sent.count(b"data: ours\n\n") == 1
