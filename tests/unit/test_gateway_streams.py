"""Quiet streams are commented on, but never inside an event."""

import pytest
from aiohttp import web

from gateway.streams import OpenStream


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
