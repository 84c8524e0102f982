"""Traces of requests, and spans of batch members and of standing streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.fixtures.collector import Collector, attributes, over_http
from tests.fixtures.gateway import Backing, Client, connected, entry
from tests.fixtures.upstreams import ScriptedUpstream

OUTER, INNER = "0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"


def named(trace: str, *, sampled: bool = True) -> dict[str, Any]:
    """A `traceparent` of a caller."""
    return {"traceparent": f"00-{trace}-b7ad6b7169203331-0{int(sampled)}"}


@asynccontextmanager
async def traced(
    shared: Backing, upstream: ScriptedUpstream, ratio: float
) -> AsyncIterator[tuple[Client, Collector]]:
    """A client of a gateway, and the collector, which has everything once the block is left."""
    with over_http() as collector:
        section = {
            "enabled": True, "transport": "http", "endpoint": collector.url, "traces": {"sample_ratio": ratio},
        }
        async with connected(shared.config(entry(upstream.url), telemetry=section)) as client:
            yield client, collector


def spans(collector: Collector, name: str) -> list[Any]:
    """Those of this name."""
    return [span for span in collector.spans().get("gateway", []) if span.name == name]


async def echo(client: Client, meta: object, headers: dict[str, str]) -> None:
    params = {"name": "echo", "arguments": {}} | ({} if meta is None else {"_meta": meta})
    assert (await client.request("tools/call", params, headers)).status == 200


@pytest.mark.parametrize("ratio", [0.0, 1.0], ids=["not traced by itself", "traced anyway"])
async def test_a_message_may_name_its_trace(shared_backing: Backing, upstream: ScriptedUpstream, ratio: float) -> None:
    async with traced(shared_backing, upstream, ratio) as (client, collector):
        await echo(client, named(INNER), {})

    [call] = spans(collector, "tools/call /mcp/files")
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (INNER, "b7ad6b7169203331")
    below = [span for span in spans(collector, "upstream POST") if span.parent_span_id == call.span_id]
    assert [span.trace_id.hex() for span in below] == [INNER]
    assert upstream.last("tools/call").request.headers["traceparent"].startswith(f"00-{INNER}-")


async def test_the_header_goes_before_the_message(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with traced(shared_backing, upstream, 0.0) as (client, collector):
        await echo(client, named(INNER), named(OUTER))

    assert [span.trace_id.hex() for span in spans(collector, "tools/call /mcp/files")] == [OUTER]


async def test_a_message_may_disable_the_recording_of_its_trace(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with traced(shared_backing, upstream, 1.0) as (client, collector):
        await echo(client, named(INNER, sampled=False), {})

    assert spans(collector, "initialize /mcp/files")
    assert spans(collector, "tools/call /mcp/files") == []
    assert "traceparent" not in upstream.last("tools/call").request.headers


@pytest.mark.parametrize(
    "meta", [{"traceparent": 7}, {"traceparent": "x" * 100_000}, {"traceparent": f"00-{'0' * 32}-{'0' * 16}-01"}, [], 7]
)
async def test_malformed_trace_fields_count_as_absent(
    shared_backing: Backing, upstream: ScriptedUpstream, meta: object
) -> None:
    async with traced(shared_backing, upstream, 1.0) as (client, collector):
        await echo(client, meta, {})

    assert len(spans(collector, "tools/call /mcp/files")) == 1


async def test_each_member_of_a_batch_has_a_span(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    old = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}
    members = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": {"name": "echo", "arguments": {}}}
        for number, method in ((7, "tools/call"), (8, "vendor/invented"))
    ]
    async with traced(shared_backing, upstream, 1.0) as (client, collector):
        client.session_id = (await client.request("initialize", old)).headers["Mcp-Session-Id"]
        assert (await client.post(msgspec.json.encode(members))).status == 200

    [batch] = spans(collector, "POST /mcp/files")[-1:]
    found = {span.name: span for span in collector.spans()["gateway"] if span.parent_span_id == batch.span_id}
    assert attributes(found["tools/call"].attributes)["jsonrpc.request.id"] == "7"
    assert attributes(found["other"].attributes)["mcp.method.name"] == "other"
    calls = [span for span in spans(collector, "upstream POST") if span.parent_span_id == found["tools/call"].span_id]
    assert len(calls) == 1


async def test_a_standing_stream_has_two_short_spans(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    over = asyncio.Event()

    async def standing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: {}\n\n")
        await over.wait()
        return response

    upstream.on_get = standing
    async with traced(shared_backing, upstream, 0.0) as (client, collector):
        headers = client.headers({"Accept": "text/event-stream", **named(OUTER)})
        async with client.http.get(client.base + client.mount, headers=headers) as stream:
            assert await stream.content.readline() == b"data: {}\n"
            over.set()
            await stream.read()

    [opened], [ended] = spans(collector, "GET /mcp/files"), spans(collector, "stream ended")
    [asked] = spans(collector, "upstream GET")
    assert opened.trace_id.hex() == ended.trace_id.hex() == OUTER
    assert ended.parent_span_id == opened.span_id
    assert max(opened.end_time_unix_nano, asked.end_time_unix_nano) <= ended.start_time_unix_nano
    assert attributes(ended.attributes)["longshore.stream.seconds"].isdigit()
