"""Sends wrong tokens: `python -m tests.bench.flood PORT PATH RATE SECONDS`; prints the rate that it reached."""

import asyncio
import sys

from longshore.cli.console import print_result
from longshore.shared.clock import monotonic_s

_CONNECTIONS = 8
_TURN_S = 0.005


async def main(port: int, path: str, rate: float, seconds: float) -> float:
    """Every token is another one, all from one forwarded address."""
    ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(_CONNECTIONS)]
    answered = 0

    async def drain(reader: asyncio.StreamReader) -> None:
        nonlocal answered
        while data := await reader.read(65536):
            answered += data.count(b"HTTP/1.1 4")

    async with asyncio.TaskGroup() as group:
        draining = [group.create_task(drain(reader)) for reader, _ in ends]
        begun_s, sent = monotonic_s(), 0
        while (passed_s := monotonic_s() - begun_s) < seconds:
            while sent < passed_s * rate:
                ends[sent % _CONNECTIONS][1].write(_wrong(port, path, sent))
                sent += 1
            await asyncio.sleep(_TURN_S)
        reached = answered / (monotonic_s() - begun_s)
        for task in draining:
            task.cancel()
    return reached


def _wrong(port: int, path: str, number: int) -> bytes:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nX-Forwarded-For: 192.0.2.66\r\n"
        f"Authorization: Bearer wrong-{number}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


if __name__ == "__main__":
    print_result(f"{asyncio.run(main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))):.0f}")
