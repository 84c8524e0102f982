"""Transfers that cost the client little: a file to a PUT, and a GET whose bytes are thrown away. They block."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

_BLOCK_BYTES = 1024 * 1024
_PATIENCE_S = 120

_Found = TypeVar("_Found")


async def at_once(calls: Sequence[Callable[[], _Found]]) -> list[_Found]:
    """Results of the calls, each in a thread of its own from the start."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(len(calls)) as pool:
        return await asyncio.gather(*(loop.run_in_executor(pool, call) for call in calls))


def put(url: str, source: Path) -> None:
    """Send the file by the kernel and wait for its receipt. Raises RuntimeError for any but 200."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=_PATIENCE_S)
    with source.open("rb") as file:
        connection.putrequest("PUT", f"{parts.path}/{source.name}?{parts.query}")
        connection.putheader("Content-Length", str(source.stat().st_size))
        connection.endheaders()
        connection.sock.sendfile(file)
        answer = connection.getresponse()
        text = answer.read()
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"an upload got {answer.status}: {text.decode(errors='replace')}")


def get(url: str) -> int:
    """Number of bytes that came. Raises RuntimeError when they are not those that were promised."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_PATIENCE_S) as connection:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        buffer = bytearray(_BLOCK_BYTES)
        head, body = b"", b""
        while b"\r\n\r\n" not in head:
            head += buffer[:_received(connection, buffer)]
        head, _, body = head.partition(b"\r\n\r\n")
        length = next(line[16:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: "))
        count = len(body)
        while count < int(length):
            count += _received(connection, buffer)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"a download failed: {head.decode(errors='replace')}")
    return count


def _received(connection: socket.socket, buffer: bytearray) -> int:
    count = connection.recv_into(buffer)
    if not count:
        raise RuntimeError("the server hung up")
    return count
