"""Named tokens: principals, their servers, and the places of a credential in a request."""

import hashlib
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from tests.fixtures.gateway import INIT, Backing, Client, connected, consumer, entry, gateway, producer
from tests.fixtures.upstreams import ScriptedUpstream, writes

_NEW, _OLD, _BOB = "ada-has-this-now", "ada-had-this-before", "bob-has-this"
_TOKENS: dict[str, Any] = {
    "enabled": True,
    "tokens": [
        {"name": "ada", "token": _NEW, "token_sha256": hashlib.sha256(_OLD.encode()).hexdigest()},
        {"name": "bob", "token": _BOB, "servers": ["files"]},
    ],
}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _two(url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return entry(url, consumer("read")), entry(url, id="other", mount_path="/mcp/other")


async def test_each_named_token_is_a_principal_of_its_own(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(*_two(upstream.url), core={"auth": _TOKENS})
    async with connected(config, initialize=False) as client:
        await client.initialize(_bearer(_NEW))

        assert (await client.request("tools/list", None, _bearer(_OLD))).status == 200
        strange = await client.request("tools/list", None, _bearer(_BOB))
        assert (strange.status, strange.reason) == (409, "session_conflict")


async def test_a_token_is_valid_for_its_servers_alone(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = shared_backing.config(*_two(upstream.url), core={"auth": _TOKENS, "allow_artifacts_download": True})
    async with connected(config, initialize=False) as client:
        await client.initialize(_bearer(_BOB))
        other = Client(client.http, client.base, "/mcp/other")
        refused = await other.request("initialize", INIT, _bearer(_BOB))
        download = f"{client.base}/artifacts/other/{'A' * 32}/{'B' * 22}/x.txt"
        headers = {**_bearer(_BOB), "Mcp-Session-Id": "A" * 32}

        assert (refused.status, refused.reason) == (403, "forbidden")
        assert (await other.request("initialize", INIT, _bearer(_NEW))).status == 200
        assert await _posted(client, f"{client.base}/upload/other", headers) == 403
        assert await _posted(client, f"{client.base}/upload/files", {**headers, "Mcp-Session-Id": client.session_id}) \
            == 200
        async with client.http.get(download, headers=headers) as answer:
            assert answer.status == 403
        async with client.http.get(client.base + "/nothing", headers=headers) as answer:
            assert answer.status == 404


@pytest.mark.requirement("tools.access")
async def test_files_belong_to_their_principal(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    upstream.behaviours["tools/call"] = writes(b"made")
    config = shared_backing.config(
        entry(upstream.url, producer("write")), core={"auth": _TOKENS, "allow_artifacts_download": True}
    )
    async with connected(config, initialize=False) as client:
        await client.initialize(_bearer(_NEW))
        made = await client.result("tools/call", {"name": "write", "arguments": {}}, _bearer(_NEW))
        link = next(item["uri"] for item in made["content"] if item["type"] == "resource_link")
        path = link.replace("artifact://sessions/", "files/")
        headers = {"Mcp-Session-Id": client.session_id}

        for token, status in ((_OLD, 200), (_BOB, 409)):
            async with client.http.get(f"{client.base}/artifacts/{path}", headers=headers | _bearer(token)) as answer:
                assert answer.status == status


async def test_health_shows_each_principal_its_own_servers(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(*_two(upstream.url), core={"auth": _TOKENS})
    async with (
        gateway(config) as base,
        aiohttp.ClientSession(base) as http,
        http.get("/healthz", headers=_bearer(_BOB)) as answer,
    ):
        servers = {entry["server_id"]: entry for entry in (await answer.json())["servers"]}

    assert "upstream_url" in servers["files"]
    assert "upstream_url" not in servers["other"]


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {_NEW}"), ("Authorization", f"Bearer {_NEW}")],
        [("X-Mcp-Adapter-Auth-Token", _NEW), ("X-Mcp-Adapter-Auth-Token", _BOB)],
        [("Authorization", f"Bearer {_NEW}"), ("Authorization", "Basic eDp5")],
        [("X-Mcp-Adapter-Auth-Token", "wrong"), ("Authorization", f"Bearer {_NEW}")],
    ],
)
async def test_a_credential_sent_twice_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, headers: list[tuple[str, str]]
) -> None:
    config = shared_backing.config(entry(upstream.url), core={"auth": _TOKENS})
    async with connected(config, initialize=False) as client:
        answer = await client.request("initialize", INIT, CIMultiDict(headers))

        assert (answer.status, answer.reason) == (401, "unauthorized")


@pytest.mark.requirement("authorization.status", "authorization.query")
@pytest.mark.parametrize("name", ["access_token", "token", "Access_Token"])
async def test_a_token_in_the_url_is_refused_even_with_a_valid_one_in_a_header(
    shared_backing: Backing, upstream: ScriptedUpstream, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = shared_backing.config(entry(upstream.url), core={"auth": _TOKENS, "log_level": "debug"})
    async with connected(config, mount=f"/mcp/files?{name}={_NEW}", initialize=False) as client:
        for headers in ({}, _bearer(_NEW)):
            answer = await client.request("initialize", INIT, headers)

            assert (answer.status, answer.reason) == (400, "bad_request")
            assert "header" in answer.message["error"]["message"]
            assert _NEW not in answer.body.decode()
    assert _NEW not in caplog.text


async def test_a_named_token_is_never_sent_upstream(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    section = {"client_headers": {"passthrough": ["Authorization", "X-Copy"]}}
    config = shared_backing.config(entry(upstream.url, upstream=section), core={"auth": _TOKENS})
    async with connected(config, initialize=False) as client:
        await client.initialize({**_bearer(_OLD), "X-Copy": _OLD})
        own = await client.request(
            "tools/list", None, {"X-Mcp-Adapter-Auth-Token": _OLD, "Authorization": "Bearer for-the-upstream"}
        )
        assert own.status == 200

    assert all(_OLD not in value for value in upstream.last("initialize").request.headers.values())
    assert upstream.last("tools/list").request.headers["Authorization"] == "Bearer for-the-upstream"


async def _posted(client: Client, url: str, headers: dict[str, str]) -> int:
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="x.txt")
    async with client.http.post(url, data=form, headers=headers) as answer:
        return answer.status
