"""A name server with one name on it, whose addresses a test changes as containers would come and go."""

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

_A, _IN = 1, 1
_ANSWER = 0x8580        # response, authoritative, recursion as asked
_NO_SUCH_NAME = 3
_QUESTION_NAME = 0xC00C  # a pointer to the name in the question


class Zone(asyncio.DatagramProtocol):
    """Answers A queries for `name` (RFC 1035 §4)."""

    def __init__(self, name: str, addresses: list[str]) -> None:
        self._labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
        self.addresses = addresses
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # not a subclass on Python 3.11

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self._transport.sendto(self._answer(data), addr)

    def _answer(self, query: bytes) -> bytes:
        [query_id] = struct.unpack(">H", query[:2])
        end = query.index(b"\0", 12) + 5
        question = query[12:end]
        known = question[:-4] == self._labels
        [kind] = struct.unpack(">H", question[-4:-2])
        records = [self._record(address) for address in self.addresses] if known and kind == _A else []
        flags = _ANSWER if known else _ANSWER | _NO_SUCH_NAME
        return struct.pack(">HHHHHH", query_id, flags, 1, len(records), 0, 0) + question + b"".join(records)

    @staticmethod
    def _record(address: str) -> bytes:
        packed = ipaddress.IPv4Address(address).packed
        return struct.pack(">HHHIH", _QUESTION_NAME, _A, _IN, 1, len(packed)) + packed


@asynccontextmanager
async def zone(name: str, addresses: list[str]) -> AsyncIterator[tuple[Zone, int]]:
    """The server and its UDP port on loopback."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Zone(name, addresses), local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
