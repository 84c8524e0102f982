"""Spill-over: tool results that are too large for their client."""

import base64
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from tests.fixtures.gateway import Backing, Client, backing, connected, entry, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, stream, tool

_PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400
_IMAGE = {"type": "image", "mimeType": "image/png", "data": base64.b64encode(_PNG).decode()}
_TEXT = "\n".join(f"line {n} „eins“" for n in range(200_000))
_SPILLS = {"spill_over_bytes": 50_000}
_DOWNLOADS = {"allow_artifacts_download": True}


def _returns(upstream: ScriptedUpstream, *blocks: dict[str, Any], **more: Any) -> None:
    async def behave(seen: Seen) -> Reply:
        return result(seen, {"content": list(blocks), **more})

    upstream.behaviours["tools/call"] = behave


async def _read(client: Client, uri: str) -> bytes:
    (content,) = (await client.result("resources/read", {"uri": uri}))["contents"]
    return content["text"].encode() if "text" in content else base64.b64decode(content["blob"])


async def test_large_blocks_become_artifacts_and_small_ones_stay(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    small = {"type": "text", "text": "small", "annotations": {"priority": 1}}
    _returns(upstream, small, {"type": "text", "text": _TEXT}, _IMAGE, structuredContent={"n": 1}, _meta={"own": 2})
    config = shared_backing.config(entry(upstream.url), artifacts=_SPILLS, core=_DOWNLOADS)
    async with connected(config) as client:
        answer = await client.request("tools/call", {"name": "any", "arguments": {}})
        returned = answer.message["result"]
        kept = returned["_meta"]["artifacts"]
        read = [await _read(client, artifact["artifact_uri"]) for artifact in kept]
        listed = (await client.result("resources/list"))["resources"]
        async with client.http.get(kept[1]["download_url"]) as download:
            downloaded = await download.read()

    assert len(answer.body) < 10_000
    assert read == [_TEXT.encode(), _PNG]
    assert downloaded == _PNG
    assert returned["content"][0] == small
    assert returned["content"][1]["text"].startswith("line 0 „eins“\nline 1")
    assert kept[0]["artifact_uri"] in returned["content"][1]["text"]
    types = [block["type"] for block in returned["content"]]
    assert types == ["text", "text", "resource_link", "text", "resource_link"]
    assert [artifact["mime_type"] for artifact in kept] == ["text/plain", "image/png"]
    assert returned["_meta"]["artifact"] == kept[0]
    assert (returned["_meta"]["own"], returned["structuredContent"]) == (2, {"n": 1})
    assert {entry["uri"] for entry in listed} == {artifact["artifact_uri"] for artifact in kept}


async def test_spill_over_applies_to_event_streams(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def behave(seen: Seen) -> Reply:
        returned = msgspec.json.encode(result(seen, {"content": [{"type": "text", "text": _TEXT}]}))
        return await stream(seen, b"data: " + returned + b"\n\n")

    upstream.behaviours["tools/call"] = behave
    async with connected(shared_backing.config(entry(upstream.url, **_SPILLS))) as client:
        returned = await client.call("any")
        read = await _read(client, returned["_meta"]["artifact"]["artifact_uri"])

    assert read == _TEXT.encode()


@pytest.mark.parametrize("off", [None, 0])
async def test_spill_over_can_be_disabled_for_a_server(
    shared_backing: Backing, upstream: ScriptedUpstream, off: int | None
) -> None:
    _returns(upstream, {"type": "text", "text": _TEXT})
    for_all = {} if off is None else _SPILLS
    config = shared_backing.config(entry(upstream.url, spill_over_bytes=off), artifacts=for_all)
    async with connected(config) as client:
        returned = await client.call("any")

    assert returned == {"content": [{"type": "text", "text": _TEXT}]}


async def test_captured_artifacts_are_not_stored_twice(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _returns(upstream, _IMAGE)
    adapter = producer("shoot", None, output_locator={"mode": "embedded"})
    async with connected(shared_backing.config(entry(upstream.url, adapter, **_SPILLS))) as client:
        returned = await client.call("shoot")
        listed = (await client.result("resources/list"))["resources"]

    artifact = returned["_meta"]["artifact"]
    assert [entry["uri"] for entry in listed] == [artifact["artifact_uri"]]
    assert [block["type"] for block in returned["content"]] == ["text", "resource_link"]
    assert returned["_meta"]["artifacts"] == [artifact]


async def test_a_block_above_the_quota_stays(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    image = {"type": "image", "mimeType": "image/png", "data": "%" * 60_000}
    _returns(upstream, {"type": "text", "text": _TEXT}, image)
    quota = {"max_total_session_size": 100_000}
    with backing(tmp_path, sessions=quota) as small:
        async with connected(small.config(entry(upstream.url, **_SPILLS), sessions=quota)) as client:
            returned = await client.call("any")

    assert returned["content"] == [
        {"type": "text", "text": _TEXT}, {"type": "image", "mimeType": "image/png", "data": "%" * 60_000}
    ]


_ROWS = [{"n": n, "name": f"row {n}"} for n in range(5_000)]
_OPEN = {"type": "object", "properties": {"result": {"type": "string", "title": "Result"}}, "required": ["result"]}


def _with_schema(upstream: ScriptedUpstream, schema: dict[str, Any] | None) -> None:
    upstream.tools = [{**tool("any"), **({} if schema is None else {"outputSchema": schema})}]


async def test_structured_content_without_schema_becomes_an_artifact(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _with_schema(upstream, None)
    _returns(upstream, {"type": "text", "text": "small"}, structuredContent={"rows": _ROWS})
    async with connected(shared_backing.config(entry(upstream.url, **_SPILLS))) as client:
        answer = await client.request("tools/call", {"name": "any", "arguments": {}})
        returned = answer.message["result"]
        read = await _read(client, returned["structuredContent"]["artifact_uri"])

    assert len(answer.body) < 5_000
    assert msgspec.json.decode(read) == {"rows": _ROWS}
    assert returned["structuredContent"] == returned["_meta"]["artifact"]
    assert (returned["structuredContent"]["mime_type"], returned["structuredContent"]["filename"]) == (
        "application/json", "any.json"
    )
    assert [block["type"] for block in returned["content"]] == ["text", "resource_link"]


@pytest.mark.requirement("tools.output-schema")
async def test_long_texts_of_structured_content_are_replaced_within_the_schema(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _with_schema(upstream, _OPEN)
    _returns(upstream, {"type": "text", "text": _TEXT}, structuredContent={"result": _TEXT})
    async with connected(shared_backing.config(entry(upstream.url, **_SPILLS))) as client:
        answer = await client.request("tools/call", {"name": "any", "arguments": {}})
        returned = answer.message["result"]
        read = await _read(client, returned["_meta"]["artifact"]["artifact_uri"])

    assert len(answer.body) < 10_000
    assert read == _TEXT.encode()
    assert len(returned["_meta"]["artifacts"]) == 1
    assert returned["structuredContent"] == {"result": returned["content"][0]["text"]}
    assert returned["structuredContent"]["result"].startswith("line 0 „eins“\nline 1")
    jsonschema.validate(returned["structuredContent"], _OPEN)


@pytest.mark.requirement("tools.output-schema")
@pytest.mark.parametrize(
    "schema",
    [{"type": "object", "properties": {"rows": {"type": "array"}}}, {"type": "object", "maxProperties": 3}],
)
async def test_structured_content_stays_where_the_schema_admits_no_other(
    shared_backing: Backing, upstream: ScriptedUpstream, schema: dict[str, Any]
) -> None:
    _with_schema(upstream, schema)
    _returns(upstream, structuredContent={"rows": _ROWS})
    async with connected(shared_backing.config(entry(upstream.url, **_SPILLS))) as client:
        returned = await client.call("any")

    assert returned == {"content": [], "structuredContent": {"rows": _ROWS}}


async def test_structured_content_of_an_unlisted_tool_stays(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _returns(upstream, structuredContent={"rows": _ROWS})
    async with connected(shared_backing.config(entry(upstream.url, **_SPILLS))) as client:
        returned = await client.call("another")

    assert returned["structuredContent"] == {"rows": _ROWS}


async def test_other_results_are_not_changed(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async def behave(seen: Seen) -> Reply:
        return result(seen, {"content": {"no": "list"}, "structuredContent": {"rows": _ROWS}})

    _with_schema(upstream, None)
    upstream.behaviours["tools/call"] = behave
    async with connected(shared_backing.config(entry(upstream.url, **_SPILLS))) as client:
        returned = await client.call("any")

    assert returned == {"content": {"no": "list"}, "structuredContent": {"rows": _ROWS}}


async def test_artifacts_of_a_call_are_not_evicted_by_later_ones_of_the_same_call(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """Parts that do not fit into the quota stay in the result; artifacts of earlier calls are evicted."""
    texts = [{"type": "text", "text": f"{n}" * 60_000} for n in range(4)]
    _returns(upstream, _IMAGE, *texts)
    few = {"artifacts": {"max_per_session": 3}}
    adapter = producer("shoot", None, output_locator={"mode": "embedded"})
    with backing(tmp_path, **few) as made:
        async with connected(made.config(entry(upstream.url, adapter, **_SPILLS), **few)) as client:
            await client.call("shoot")
            returned = await client.call("shoot")
            kept = returned["_meta"]["artifacts"]
            read = [await _read(client, artifact["artifact_uri"]) for artifact in kept]

    assert read == [_PNG, b"0" * 60_000, b"1" * 60_000]
    assert [block for block in returned["content"] if block in texts] == texts[2:]


async def test_the_number_of_artifacts_of_one_result_is_limited(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _returns(upstream, *({"type": "text", "text": f"{n:04}" * 10} for n in range(120)))
    async with connected(shared_backing.config(entry(upstream.url, spill_over_bytes=30))) as client:
        returned = await client.call("any")

    assert len(returned["_meta"]["artifacts"]) == 100
    assert returned["content"][-1] == {"type": "text", "text": "0119" * 10}
