"""File transfer of SEP-2631: files announced and uploaded, listed and fetched; refusals have machine-readable data."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest

from longshore.gateway.files.announced_upload import AnnouncedUpload, encode_target
from longshore.shared import ids
from longshore.shared.config import Config
from longshore.shared.crypto.signed_links import Link, Signer
from tests.fixtures.file_transfer import FETCHES, digest_of, facts_of, fetched, initialize, send, sent_file
from tests.fixtures.gateway import Backing, Client, connected, consumer, entry, gateway, producer
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, writes

_CONTENT = b"some bytes \x00\xff " * 20_000
_SHA256 = hashlib.sha256(_CONTENT).hexdigest()


def _config(backing: Backing, upstream: ScriptedUpstream, **sections: dict[str, Any]) -> Config:
    server = entry(upstream.url, consumer("read"), producer("write"))
    core = {"allow_artifacts_download": True, "auth": {"signing_secret": "s" * 32}, **sections.pop("core", {})}
    return backing.config(server, core=core, files={"sep_2631": True}, **sections)


def _reads(upstream: ScriptedUpstream) -> None:
    """Let the tool return the digest of the file at the path in its arguments."""

    async def behave(seen: Seen) -> Reply:
        path = Path(seen.params["arguments"]["path"])
        returned = f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        return result(seen, {"content": [{"type": "text", "text": returned}]})

    upstream.behaviours["tools/call"] = behave


async def test_an_announced_file_reaches_the_tool(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    _reads(upstream)
    async with connected(_config(shared_backing, upstream)) as client:
        received = await client.result("files/authorizeUpload", facts_of(_CONTENT, "a b.txt"))
        before = await client.call("read", {"path": received["file"]["uri"]})
        answer = await send(client, received["upload"], _CONTENT)
        returned = await client.call("read", {"path": received["file"]["uri"]})

    assert received["file"] == {"uri": received["file"]["uri"], **facts_of(_CONTENT, "a b.txt")}
    assert received["upload"].keys() == {"transport", "method", "url", "expiresAt"}
    assert before["isError"] is True
    assert (answer.status, answer.message["upload"]["sha256"]) == (200, _SHA256)
    assert returned["content"][0]["text"] == f"a b.txt {_SHA256}"


async def test_a_file_may_be_sent_and_fetched_through_another_gateway(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = _config(shared_backing, upstream)
    async with connected(config) as client, gateway(config) as other:
        received = await client.result("files/authorizeUpload", facts_of(_CONTENT))
        received["upload"]["url"] = received["upload"]["url"].replace(client.base, other)
        answer = await send(client, received["upload"], _CONTENT)
        again = await client.result("files/authorizeDownload", {"uri": received["file"]["uri"]})
        async with client.http.get(again["download"]["url"].replace(client.base, other)) as download:
            content = await download.read()

    assert (answer.status, content) == (200, _CONTENT)


async def test_a_file_may_be_announced_without_size_and_digest(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _reads(upstream)
    async with connected(_config(shared_backing, upstream)) as client:
        received = await client.result("files/authorizeUpload")
        answer = await send(client, received["upload"], _CONTENT)
        returned = await client.call("read", {"path": received["file"]["uri"]})

    assert received["file"].keys() == {"uri"}
    assert answer.status == 200
    assert returned["content"][0]["text"] == f"file {_SHA256}"


async def test_modern_clients_have_the_methods_too(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    _reads(upstream)
    async with connected(_config(shared_backing, upstream), initialize=False) as client:
        modern = Modern(client)
        offered = (await modern.result("server/discover"))["capabilities"]["files"]
        received = await modern.result("files/authorizeUpload", facts_of(_CONTENT))
        answer = await send(client, received["upload"], _CONTENT)
        returned = await modern.result("tools/call", {"name": "read", "arguments": {"path": received["file"]["uri"]}})
        given = await modern.result("files/authorizeDownload", {"uri": received["file"]["uri"]})

    assert offered == {"upload": True, "download": True, "transports": ["https"]}
    assert answer.status == 200
    assert returned["content"][0]["text"] == f"a.txt {_SHA256}"
    assert given["file"]["digest"] == digest_of(_CONTENT)


async def test_the_capability_is_declared_exactly_where_the_feature_is_on(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(_config(shared_backing, upstream), initialize=False) as client:
        on = await initialize(client)
    plain = shared_backing.config(entry(upstream.url, consumer("read")))
    async with connected(plain, initialize=False) as client:
        off = await initialize(client)
        unknown = await client.request("files/authorizeUpload", {"size": 3})
        tools = (await client.result("tools/list"))["tools"]

    assert on["files"] == {"upload": True, "download": True, "transports": ["https"]}
    assert "files" not in off
    assert unknown.message["error"]["code"] == -32601
    assert upstream.last("files/authorizeUpload").params == {"size": 3}
    assert "x-mcp-file" not in str(tools)


async def test_schemas_mark_file_arguments(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    properties = {"path": {"type": "string"}, "paths": {"type": "array", "items": {"type": "string"}}}
    upstream.tools = [{"name": "read", "inputSchema": {"type": "object", "properties": properties}}]
    server = entry(upstream.url, consumer("read"), consumer("read", "paths"))
    limits = {"max_file_bytes": 5000, "data_uri_max_bytes": 0}
    config = shared_backing.config(server, files={"sep_2631": True}, uploads=limits)
    async with connected(config) as client:
        found = (await client.result("tools/list"))["tools"][0]["inputSchema"]["properties"]

    says = {"maxSize": 5000, "transferModes": ["upload"]}
    assert found["path"]["x-mcp-file"] == says
    assert found["paths"]["items"]["x-mcp-file"] == says


_REFUSED_FACTS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"size": 10 * 1024**2 + 1}, "maxSizeExceeded", {"maxSize": 10 * 1024**2, "actualSize": 10 * 1024**2 + 1}),
    ({"size": -1}, "invalidSize", {}),
    ({"size": "12"}, "invalidParams", {}),
    ({"name": "../up"}, "invalidName", {}),
    ({"name": "x" * 256}, "invalidName", {}),
    ({"name": "a\nb"}, "invalidName", {}),
    ({"mimeType": "text"}, "invalidMimeType", {}),
    ({"mimeType": "text/plain\r\nX-A: b"}, "invalidMimeType", {}),
    ({"digest": {"algorithm": "md5", "value": "x"}}, "invalidDigest", {"supported": ["sha-256"]}),
    ({"digest": {"algorithm": "sha-256", "value": "x"}}, "invalidDigest", {}),
    ({"digest": {"algorithm": "sha-256", "value": digest_of(b"")["value"] + "="}}, "invalidDigest", {}),
    ({"digest": "x"}, "invalidParams", {}),
]


async def test_files_that_cannot_be_accepted_are_refused_when_they_are_announced(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(_config(shared_backing, upstream)) as client:
        answers = [await client.request("files/authorizeUpload", facts) for facts, _, _ in _REFUSED_FACTS]

    assert [answer.status for answer in answers] == [200] * len(answers)
    assert [answer.message["error"]["code"] for answer in answers] == [-32602] * len(answers)
    assert [answer.message["error"]["data"] for answer in answers] == [
        {"reason": why, **data} for _, why, data in _REFUSED_FACTS
    ]
    assert not upstream.calls("files/authorizeUpload")


async def test_limits_and_required_digests_hold_for_announced_files(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = _config(
        shared_backing, upstream, uploads={"require_sha256": True}, sessions={"max_total_session_size": 100},
    )
    async with connected(config) as client:
        bare = await client.request("files/authorizeUpload", {"size": 3})
        large = await client.request("files/authorizeUpload", {"size": 101, "digest": digest_of(b"")})

    assert bare.message["error"]["data"] == {"reason": "digestRequired", "supported": ["sha-256"]}
    assert large.message["error"]["data"] == {"reason": "maxSizeExceeded", "maxSize": 100, "actualSize": 101}


async def _chunked(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 65_536):
        yield content[start:start + 65_536]


async def test_other_bytes_than_announced_are_refused_and_the_link_stays_valid(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    other = _CONTENT[:-1] + b"x"
    bodies: list[tuple[Callable[[], bytes | AsyncIterator[bytes]], str]] = [
        (lambda: other, "digestMismatch"), (lambda: _chunked(other), "digestMismatch"),
        (lambda: _CONTENT[:-1], "sizeMismatch"), (lambda: _chunked(_CONTENT[:-1]), "sizeMismatch"),
        (lambda: _CONTENT + b"x", "sizeMismatch"), (lambda: _chunked(_CONTENT * 3), "sizeMismatch"),
    ]
    async with connected(_config(fresh_backing, upstream)) as client:
        received = await client.result("files/authorizeUpload", facts_of(_CONTENT))
        refused = [await send(client, received["upload"], body()) for body, _ in bodies]
        left = fresh_backing.stored()
        good = await send(client, received["upload"], _CONTENT)
        again = await send(client, received["upload"], _CONTENT)

    assert [answer.status for answer in refused] == [400] * len(bodies)
    assert [answer.message["data"]["reason"] for answer in refused] == [why for _, why in bodies]
    assert {answer.reason for answer in refused} == {"file_refused"}
    assert [path for path in left if path.startswith(("uploads/", "staging/"))] == []
    assert good.status == 200
    assert (again.status, again.reason) == (403, "forbidden")


async def test_a_file_of_unknown_size_may_not_pass_the_limit(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = _config(fresh_backing, upstream, uploads={"max_file_bytes": 100_000})
    async with connected(config) as client:
        received = await client.result("files/authorizeUpload", {"name": "a"})
        refused = [await send(client, received["upload"], body) for body in (_CONTENT, _chunked(_CONTENT))]

    assert [(answer.status, answer.reason) for answer in refused] == [(413, "too_large")] * 2
    assert [path for path in fresh_backing.stored() if path.startswith(("uploads/", "staging/"))] == []


async def test_one_of_many_uploads_of_a_file_is_accepted(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(_config(shared_backing, upstream)) as client:
        received = await client.result("files/authorizeUpload", facts_of(_CONTENT))
        answers = await asyncio.gather(*(send(client, received["upload"], _chunked(_CONTENT)) for _ in range(8)))

    assert sorted(answer.status for answer in answers) == [200] + [403] * 7


@pytest.mark.parametrize("facts", [
    facts_of(b"", "𝄞" * 255, "text/" + "x" * 64 + "; charset=" + "y" * 176), {"size": 0},
])
async def test_long_names_and_empty_files_are_accepted(
    shared_backing: Backing, upstream: ScriptedUpstream, facts: dict[str, Any]
) -> None:
    async with connected(_config(shared_backing, upstream)) as client:
        value, content = await fetched(client, await sent_file(client, b"", **facts))

    assert (value["size"], content) == (0, b"")
    assert value.get("name") == facts.get("name", "file")


def _changed(url: str, **query: str) -> str:
    parts = urlsplit(url)
    found = {name: values[0] for name, values in parse_qs(parts.query).items()} | query
    return urlunsplit(parts._replace(query=urlencode(found)))


async def test_links_of_other_files_are_refused(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(_config(shared_backing, upstream)) as client:
        descriptor = (await client.result("files/authorizeUpload", facts_of(_CONTENT)))["upload"]
        url, signer = descriptor["url"], Signer(["s" * 32])
        file = AnnouncedUpload(file_id=ids.new_id(), name="", media_type="", size_bytes=None, sha256="")
        link = Link(
            purpose="upload", server="files", scope=client.session_id, target=encode_target(file), nonce=file.file_id,
            expires_s=1_000_000_000,
        )
        plain = await client.upload_url()
        urls = [
            f"{url.partition('/announced/')[0]}/announced/{encode_target(file)}?{urlencode(signer.query(link))}",
            _changed(url, scope=ids.new_session_id()),
            _changed(url, expires=str(2**36)),
            _changed(url, sig="x"),
            f"{url.partition('/announced/')[0]}/announced/{encode_target(file)}?{url.partition('?')[2]}",
            f"{url.partition('/announced/')[0]}/announced/x?{plain.partition('?')[2]}",
            f"{plain.partition('?')[0]}?{url.partition('?')[2]}",
            url.partition("?")[0],
        ]
        answers = [await send(client, {**descriptor, "url": text}, _CONTENT) for text in urls]
        foreign = await send(client, descriptor, _CONTENT, {"Mcp-Session-Id": ids.new_session_id()})
        good = await send(client, descriptor, _CONTENT)

    assert [(answer.status, answer.reason) for answer in [*answers, foreign]] == [(403, "forbidden")] * 9
    assert "expired" in answers[0].message["detail"]
    assert good.status == 200


async def test_a_file_belongs_to_its_session(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    _reads(upstream)
    async with connected(_config(shared_backing, upstream)) as client:
        uri = await sent_file(client, _CONTENT, **facts_of(_CONTENT))
        other = Client(client.http, client.base, client.mount)
        await other.initialize()
        called = await other.call("read", {"path": uri})
        refused = [
            await asker.request("files/authorizeDownload", {"uri": text})
            for asker, text in ((other, uri), (client, uri[:-3] + "xyz"), (client, "artifact://sessions/x/y"))
        ]

    assert called["isError"] is True
    assert [answer.message["error"]["code"] for answer in refused] == [-32602, -32602, -32601]
    assert {answer.message["error"]["data"]["reason"] for answer in refused[:2]} == {"fileNotFound"}
    assert not upstream.calls("tools/call")


async def test_files_of_tools_and_of_clients_can_be_fetched(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(_CONTENT)
    async with connected(_config(shared_backing, upstream)) as client:
        made = (await client.call("write", {"path": "made.bin"}))["_meta"]["artifact"]["artifact_uri"]
        value, content = await fetched(client, made)
        sent, back = await fetched(client, await sent_file(client, b"abc", name="b.txt"))
        again, _ = await fetched(client, value["uri"])

    assert (value["name"], value["size"], value["digest"]) == ("made.bin", len(_CONTENT), digest_of(_CONTENT))
    assert content == _CONTENT
    assert (sent["name"], back) == ("b.txt", b"abc")
    assert again == value


async def test_clients_that_fetch_files_get_file_blocks(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(_CONTENT)
    async with connected(_config(shared_backing, upstream), initialize=False) as client:
        await initialize(client, **FETCHES)
        result_of_call = await client.call("write", {"path": "made.bin"})
        uri = result_of_call["_meta"]["artifact"]["artifact_uri"]
        (backed,) = (await client.result("resources/read", {"uri": uri}))["contents"]
        (whole,) = (await client.result("resources/read", {"uri": backed["content"]["uri"]}))["contents"]

    (block,) = [block for block in result_of_call["content"] if block["type"] != "text"]
    assert block["type"] == "file"
    assert (block["file"]["name"], block["file"]["digest"]) == ("made.bin", digest_of(_CONTENT))
    assert backed == {"uri": uri, "mimeType": block["file"]["mimeType"], "content": {"uri": block["file"]["uri"]}}
    assert whole["uri"] == block["file"]["uri"]
    assert "blob" in whole


@pytest.mark.parametrize("declared", [{}, {"files": {"upload": True}}, {"files": {"download": True, "transports": []}}])
async def test_other_clients_get_no_file_blocks(
    shared_backing: Backing, upstream: ScriptedUpstream, declared: dict[str, Any]
) -> None:
    upstream.behaviours["tools/call"] = writes(_CONTENT)
    async with connected(_config(shared_backing, upstream), initialize=False) as client:
        await initialize(client, **declared)
        made = await client.call("write", {"path": "made.bin"})
        uri = made["_meta"]["artifact"]["artifact_uri"]
        (contents,) = (await client.result("resources/read", {"uri": uri}))["contents"]

    assert [block["type"] for block in made["content"]] == ["text", "resource_link", "text"]
    assert contents.keys() == {"uri", "mimeType", "blob"}


async def test_a_modern_client_declares_it_in_each_request(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(_CONTENT)
    call = {"name": "write", "arguments": {"path": "made.bin"}}
    async with connected(_config(shared_backing, upstream), initialize=False) as client:
        modern = Modern(client)
        meta = {"io.modelcontextprotocol/clientCapabilities": FETCHES}
        returned = [await modern.result("tools/call", call, meta=meta), await modern.result("tools/call", call)]

    kinds = [{block["type"] for block in answer["content"]} - {"text"} for answer in returned]
    assert kinds == [{"file"}, {"resource_link"}]


async def test_files_are_refused_over_unencrypted_connections(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = _config(shared_backing, upstream, core={"allowed_hosts": ["files.example", "127.0.0.1"]})
    tools = [{"name": "read", "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}}}]
    upstream.tools = tools
    async with connected(config, initialize=False) as client:
        host = {"Host": "files.example"}
        offered = (await client.initialize(host))["capabilities"]
        refused = await client.request("files/authorizeUpload", {"size": 3}, host)
        listed = (await client.result("tools/list", headers=host))["tools"][0]["inputSchema"]["properties"]["path"]

    assert "files" not in offered
    assert refused.message["error"]["code"] == -32603
    assert refused.message["error"]["data"]["reason"] == "insecureTransport"
    assert listed["x-mcp-file"]["transferModes"] == ["inline"]


async def test_a_file_is_not_found_in_another_workspace(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _reads(upstream)
    async with connected(_config(shared_backing, upstream), initialize=False) as client:
        modern = Modern(client)
        here, there = ({"X-Longshore-Workspace": name} for name in ("here", "there"))
        received = await modern.result("files/authorizeUpload", facts_of(_CONTENT), headers=here)
        answer = await send(client, received["upload"], _CONTENT)
        call = {"name": "read", "arguments": {"path": received["file"]["uri"]}}
        returned = [await modern.result("tools/call", call, headers=place) for place in (here, there)]
        asked = await modern.request("files/authorizeDownload", {"uri": received["file"]["uri"]}, headers=there)

    assert answer.status == 200
    assert [answer.get("isError", False) for answer in returned] == [False, True]
    assert asked.message["error"]["data"]["reason"] == "fileNotFound"


async def test_an_interrupted_upload_may_be_repeated(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    begun = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield _CONTENT[:100_000]
        begun.set()
        await asyncio.Event().wait()

    async with connected(_config(fresh_backing, upstream)) as client:
        received = await client.result("files/authorizeUpload", facts_of(_CONTENT))
        transfer = asyncio.gather(send(client, received["upload"], stalls()), return_exceptions=True)
        await begun.wait()
        transfer.cancel()
        await asyncio.gather(transfer, return_exceptions=True)
        async with asyncio.timeout(20):
            while (again := await send(client, received["upload"], _CONTENT)).status == 403:   # until it is released
                await asyncio.sleep(0.01)

    assert again.status == 200
    assert again.message["upload"]["sha256"] == _SHA256
