"""JSON that decoders lose or reorder arrives as it was sent: numbers, escapes, order, repeated and unknown keys."""

from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import web

from tests.fixtures.gateway import Backing, Client, backing, connected, entry
from tests.fixtures.upstreams import Behaviour, Reply, ScriptedUpstream, Seen, scripted, stream

_METHODS = [
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "tasks/get",
    "harbour/unknown",
]
# Among them members that the gateway looks at as it passes: name, uri, cursor, _meta.
_ODD = (
    rb'"z": 1.0 ,"a":1e5,"b":-0.0,"c":12345678901234567890123,"d":0.1000,"e":1E-7,'
    rb'"\u00fc":"\u00fc \/ \u0000 \ud83d\ude00", "name":"a", "uri":"test:\/\/a", "cursor":"",'
    rb'"raw":"~", "twice":1, "twice": 2, "$defs":{"z":{"$anchor":"z"},"a":{"$ref":"#\/$defs\/z"}},'
    rb'"_meta":{"vendor.test/z":[1.0,null,{}],"progressToken":1.50}, "tools":[ {"unknown":true,"name":"a"} ]'
).replace(b"~", "ü😀".encode())
_OPENING = b'"protocolVersion":"2025-11-25","capabilities":{"x":{"y":1.0},"tools":{}},"serverInfo":{"name":"odd"}'


def _result(*members: bytes) -> bytes:
    return b'{ "extra":[1.0 ],"result":{%s}, "jsonrpc":"2.0","id" :  1 }' % b",".join(members)


def _request(method: str, *members: bytes) -> bytes:
    return b'{"id" : 1, "params":{%s},"trailing":null, "method":"%s","jsonrpc":"2.0" }' % (
        b",".join(members),
        method.encode(),
    )


@pytest.fixture(scope="module")
def shared_backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backing]:
    with backing(tmp_path_factory.mktemp("backing")) as made:
        yield made


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted() as made:
        yield made


def _json(body: bytes, *, status: int = 200) -> Behaviour:
    async def behave(seen: Seen) -> Reply:
        return web.Response(body=body, status=status, content_type="application/json")

    return behave


def _events(source: bytes) -> Behaviour:
    async def behave(seen: Seen) -> Reply:
        return await stream(seen, source)

    return behave


@pytest.mark.parametrize("method", _METHODS)
async def test_no_byte_of_a_call_or_its_result_changes(
    shared_backing: Backing, upstream: ScriptedUpstream, method: str
) -> None:
    request, result = _request(method, _ODD), _result(_ODD)

    async with connected(shared_backing.config(entry(upstream.url))) as client:
        upstream.behaviours[method] = _json(result)
        answer = await client.post(request)

    assert upstream.last(method).body == request
    assert answer.body == result


@pytest.mark.parametrize("method", _METHODS)
async def test_no_byte_of_a_stream_changes(shared_backing: Backing, upstream: ScriptedUpstream, method: str) -> None:
    source = (
        b": a comment\r\nid: 1/\xc3\xbc\r\nretry: 1500\r\ndata:\r\n\r\n"
        b'event:message\nid\ndata: {"jsonrpc":"2.0",\ndata: "method":"notifications/harbour","params":{%s}}\n\n'
        b"event: message\rdata:%s\rvendor: kept\r\r" % (_ODD, _result(_ODD))
    )

    async with connected(shared_backing.config(entry(upstream.url))) as client:
        upstream.behaviours[method] = _events(source)
        answer = await client.post(_request(method, _ODD))

    assert answer.body == source
    assert answer.headers["Content-Type"] == "text/event-stream"


@pytest.mark.parametrize("as_stream", [False, True], ids=["json", "stream"])
async def test_no_byte_of_the_opening_changes(
    shared_backing: Backing, upstream: ScriptedUpstream, as_stream: bool
) -> None:
    """The gateway reads both sides' opening, and passes on what it read."""
    request = _request("initialize", b'"protocolVersion":"2025-11-25","capabilities":{"x":{"y":1.0}}', _ODD)
    result = _result(_OPENING, _ODD)
    source = b"id: 7\nretry: 9\ndata: \n\nid: 8\nevent: message\ndata: %s\n\n" % result

    async def behave(seen: Seen) -> Reply:
        head = {"Mcp-Session-Id": "upstream"}
        if not as_stream:
            return web.Response(body=result, content_type="application/json", headers=head)
        return web.Response(body=source, content_type="text/event-stream", headers=head)

    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        upstream.behaviours["initialize"] = behave
        answer = await client.post(request)

    assert upstream.last("initialize").body == request
    assert answer.body == (source if as_stream else result)
    assert answer.headers["Mcp-Session-Id"] not in ("", "upstream")


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500])
async def test_no_byte_of_an_error_changes(shared_backing: Backing, upstream: ScriptedUpstream, status: int) -> None:
    error = b'{"error":{"message":"n\\u00f6","code":-32042.0,"data":{%s}},"id":1,"jsonrpc":"2.0"}' % _ODD

    async with connected(shared_backing.config(entry(upstream.url))) as client:
        upstream.behaviours["tools/call"] = _json(error, status=status)
        answer = await client.post(_request("tools/call", _ODD))

    assert answer.status == status
    assert answer.body == error


@pytest.mark.parametrize(
    "message",
    [
        b'{"id" : "\\u00fc", "result":{%s},"jsonrpc":"2.0"}' % _ODD,
        b'{"id":7,"error":{"code":-1,"message":"no","data":{%s}},"jsonrpc":"2.0"}' % _ODD,
        b'{"method":"notifications/progress", "params":{%s},"jsonrpc":"2.0", "x":1.0}' % _ODD,
    ],
    ids=["result", "error", "notification"],
)
async def test_no_byte_of_what_a_client_answers_or_tells_changes(
    shared_backing: Backing, upstream: ScriptedUpstream, message: bytes
) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.post(message)

    assert upstream.seen[-1].body == message
    assert (answer.status, answer.body) == (202, b"")


async def test_a_standing_stream_carries_what_the_upstream_sends(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """Resumption is the upstream's: the id that the client saw last goes there, and ids come back untouched."""
    asked: list[dict[str, str]] = []
    source = b': hello\r\nid: a/1\r\nretry: 250\r\ndata:\r\n\r\nid: a/2\ndata: {"jsonrpc":"2.0",%s}\n\n' % _ODD

    async def on_get(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.headers))
        return web.Response(body=source, content_type="text/event-stream")

    upstream.on_get = on_get
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await _get(client, {"Last-Event-ID": "a/0"})

    assert answer == source
    assert asked[0]["Last-Event-ID"] == "a/0"
    assert asked[0]["Mcp-Session-Id"].startswith("upstream-")


async def _get(client: Client, headers: dict[str, str]) -> bytes:
    media = {"Accept": "text/event-stream"}
    async with client.http.get(client.base + client.mount, headers=client.headers({**media, **headers})) as response:
        assert response.status == 200
        return await response.read()
