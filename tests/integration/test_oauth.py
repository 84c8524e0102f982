"""Access tokens of an authorization server: accepted, refused, and the challenges that clients receive."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import ANY

import aiohttp
import msgspec
import pytest
import structlog
from joserfc.jwk import RSAKey

from longshore.shared.clock import now_s
from longshore.shared.config import Config
from tests.fixtures.gateway import INIT, Answer, Backing, Client, connected, entry, gateway
from tests.fixtures.issuer import SECOND, Issuer, issuer, signed_with_public_key
from tests.fixtures.upstreams import ScriptedUpstream

_BASE = "http://files.test"
_MOUNT = f"{_BASE}/mcp/files"
_STATIC = "a-static-token"


@pytest.fixture
async def server() -> AsyncIterator[Issuer]:
    async with issuer() as made:
        yield made


def _config(backing: Backing, upstream: ScriptedUpstream, server: Issuer, **more: Any) -> Config:
    oauth: dict[str, Any] = {"issuer": server.url, "scopes": ["files:use"], "leeway_seconds": 5, **more}
    core = {"public_base_url": _BASE, "auth": {"enabled": True, "token": _STATIC, "oauth": oauth}}
    strict = entry(upstream.url, id="strict", mount_path="/mcp/strict", required_scopes=["strict"])
    return backing.config(entry(upstream.url), strict, core=core)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _begin(client: Client, token: str) -> Answer:
    return await client.request("initialize", INIT, _bearer(token))


async def test_a_valid_token_opens_a_session_of_its_subject(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        await client.initialize(_bearer(server.token(_MOUNT)))

        later = await client.request("tools/list", None, _bearer(server.token(f"{_MOUNT}/", iat=1)))
        other = await client.request("tools/list", None, _bearer(server.token(_MOUNT, sub="bob")))
        static = await client.request("tools/list", None, _bearer(_STATIC))
    assert (later.status, other.status, static.status) == (200, 409, 409)


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "JWT"}, {"typ": None}, {"aud": [_BASE + "/", "https://else"]}, {"sub": None},
        {"aud": None, "resource": _MOUNT}, {"scope": None, "scp": ["files:use", "more"]},
        {"nbf": lambda now: int(now) + 3}, {"exp": lambda now: now + 60.5},
    ],
    ids=["typ", "no typ", "aud", "no sub", "resource", "scp", "nbf", "exp"],
)
async def test_variants_of_claims_are_accepted(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer, changes: dict[str, Any]
) -> None:
    """A claim may be a function of the time of the test."""
    claims = {name: value(now_s()) if callable(value) else value for name, value in changes.items()}
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        assert (await _begin(client, server.token(_MOUNT, **claims))).status == 200


def _headed(token: str, header: dict[str, Any]) -> str:
    """Return `token` with another header."""
    head = base64.urlsafe_b64encode(msgspec.json.encode(header)).decode().rstrip("=")
    return f"{head}.{token.partition('.')[2]}"


def _unsigned(token: str) -> str:
    return _headed(token.rpartition(".")[0] + ".", {"alg": "none", "typ": "at+jwt", "kid": "first"})


def _hostile(server: Issuer) -> dict[str, str]:
    now = int(now_s())
    strange = RSAKey.generate_key(2048, {"kid": "first"}, private=True)
    fine = server.token(_MOUNT)
    return {
        "none": _unsigned(fine),
        "none, signed": _unsigned(fine) + fine.split(".")[2],
        "HS256 with the public key": signed_with_public_key(fine),
        "an algorithm that is not allowed": server.token(_MOUNT, alg="RS512"),
        "a key of another algorithm": server.token(_MOUNT, alg="ES256", kid="first", key=SECOND),
        "another key": server.token(_MOUNT, key=strange),
        "another audience": server.token("https://else/mcp"),
        "an audience that only begins alike": server.token(_MOUNT + "2"),
        "no audience": server.token(_MOUNT, aud=None),
        "another issuer": server.token(_MOUNT, iss="https://else"),
        "an issuer with a slash": server.token(_MOUNT, iss=server.url + "/"),
        "no issuer": server.token(_MOUNT, iss=None),
        "expired": server.token(_MOUNT, exp=now - 6),
        "never expires": server.token(_MOUNT, exp=None),
        "expires at infinity": server.token(_MOUNT, exp=1e300),
        "not yet valid": server.token(_MOUNT, nbf=now + 60),
        "issued in the future": server.token(_MOUNT, iat=now + 60),
        "an id token by its type": server.token(_MOUNT, typ="id+jwt"),
        "no key id": server.token(_MOUNT, kid=None),
        "an unknown key id": server.token(_MOUNT, kid="unknown"),
        "no subject": server.token(_MOUNT, sub=None, client_id=None),
        "a subject like a client": server.token(_MOUNT, sub="#tests"),
        "an extension": _headed(fine, {"alg": "RS256", "kid": "first", "crit": ["x"], "x": 1}),
        "claims that are a list": ".".join([fine.split(".")[0], base64.urlsafe_b64encode(b"[]").decode(), "AA"]),
        "a signature cut off": fine[:-10],
        "a signature changed": fine[:-6] + ("AAAAAA" if fine[-6:] != "AAAAAA" else "BBBBBB"),
        "opaque": "c2VjcmV0LW9wYXF1ZQ",
        "no base64": "ey!!.ey!!.ey!!",
        "not ASCII": fine + "\u00e9",
        "dots": "ey..",
        "long": server.token(_MOUNT, filler="x" * 4000),
        "the empty token": "\x20",
    }


@pytest.mark.requirement("authorization.audience", "authorization.invalid", "authorization.storage")
async def test_hostile_tokens_are_refused_and_never_logged(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
            for what, token in _hostile(server).items():
                if what == "long":
                    continue
                answer = await _begin(client, token)

                assert (what, answer.status, answer.reason) == (what, 401, "unauthorized")
                challenge = answer.headers["WWW-Authenticate"]
                assert f'resource_metadata="{_BASE}/.well-known/oauth-protected-resource/mcp/files"' in challenge
                assert 'scope="files:use"' in challenge
                assert ('error="invalid_token"' in challenge) == (what != "the empty token"), what
                assert not token.strip() or token not in answer.body.decode()
    text = str(logs)
    assert not [what for what, token in _hostile(server).items() if len(token) > 10 and token in text]
    assert {seen.message["id"] for seen in upstream.calls("initialize")} <= {"longshore-initialize"}


async def test_a_token_that_is_too_long_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        long = await _begin(client, server.token(_MOUNT, filler="x" * 4000))
        beyond = await _begin(client, "a" * 9000)
        ours = await client.request("initialize", INIT, {"X-Mcp-Adapter-Auth-Token": "a" * 8180})

    assert (long.status, beyond.status, ours.status) == (200, 400, 401)


async def test_repeated_unknown_keys_do_not_reach_the_issuer(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        answers = await asyncio.gather(
            *(_begin(client, server.token(_MOUNT, kid=f"unknown-{number}")) for number in range(40))
        )
        fine = await _begin(client, server.token(_MOUNT))

    assert {answer.status for answer in answers} == {401}
    assert fine.status == 200
    assert server.asked["/keys"] == 1


async def test_a_configured_algorithm_is_accepted(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    server.keys.append(SECOND)
    token = server.token(_MOUNT, alg="ES256", kid="second", key=SECOND)
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        assert (await _begin(client, token)).status == 200
    async with connected(_config(shared_backing, upstream, server, algorithms=["RS256"]), initialize=False) as client:
        assert (await _begin(client, token)).status == 401


@pytest.mark.requirement("authorization.status")
async def test_a_missing_scope_is_403_and_the_challenge_lists_the_required_scopes(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    async with connected(
        _config(shared_backing, upstream, server), mount="/mcp/strict", initialize=False
    ) as client:
        answer = await _begin(client, server.token(_BASE))
        enough = await _begin(client, server.token(_BASE, scope="strict files:use"))

    assert (answer.status, answer.reason) == (403, "insufficient_scope")
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="files:use strict"' in challenge
    assert f'resource_metadata="{_BASE}/.well-known/oauth-protected-resource/mcp/strict"' in challenge
    assert enough.status == 200


async def test_without_a_token_the_challenge_has_no_error(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        answer = await client.request("initialize", INIT)

    assert answer.status == 401
    assert "error=" not in answer.headers["WWW-Authenticate"]


@pytest.mark.requirement("authorization.metadata")
@pytest.mark.parametrize(
    "path, resource, scopes",
    [
        ("", _BASE, ["files:use", "strict"]),
        ("/mcp/files", _MOUNT, ["files:use"]),
        ("/mcp/files/", _MOUNT, ["files:use"]),
        ("/mcp/strict", f"{_BASE}/mcp/strict", ["files:use", "strict"]),
    ],
)
async def test_metadata_is_public_at_the_root_and_for_each_mount(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer, path: str, resource: str, scopes: list[str]
) -> None:
    config = _config(shared_backing, upstream, server)
    async with (
        gateway(config) as base,
        aiohttp.ClientSession(base) as http,
        http.get(f"/.well-known/oauth-protected-resource{path}", allow_redirects=False) as answer,
    ):
        assert answer.status == 200
        assert await answer.json() == {
            "resource": resource, "authorization_servers": [server.url], "bearer_methods_supported": ["header"],
            "scopes_supported": scopes, "resource_name": ANY,
        }


async def test_other_paths_are_not_public(shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer) -> None:
    async with gateway(_config(shared_backing, upstream, server)) as base, aiohttp.ClientSession(base) as http:
        for path in ("/.well-known/oauth-protected-resource/mcp/none", "/.well-known/other", "/mcp/files", "/"):
            async with http.get(path) as answer:
                assert (path, answer.status) == (path, 401)


async def test_opaque_tokens_are_introspected_once_and_cached(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    server.opaque["opaque-one"] = {"sub": "ada", "aud": _MOUNT, "scope": "files:use", "exp": int(now_s()) + 60}
    server.opaque["opaque-else"] = {"sub": "ada", "aud": "https://else", "scope": "files:use"}
    server.opaque["opaque-none"] = {"sub": "ada", "scope": "files:use"}
    look_up = {"url": f"{server.url}/introspect", "client_id": "longshore", "client_secret": "its-secret"}
    async with connected(
        _config(shared_backing, upstream, server, introspection=look_up), initialize=False
    ) as client:
        async with asyncio.TaskGroup() as group:
            fine = [group.create_task(_begin(client, "opaque-one")) for _ in range(10)]
        asked = server.asked["/introspect"]
        refused = [await _begin(client, token) for token in ("unknown", "unknown", "opaque-else", "opaque-none")]

    assert {task.result().status for task in fine} == {200}
    assert asked == 1
    assert [answer.status for answer in refused] == [401] * 4
    assert server.asked["/introspect"] == 4


async def test_an_issuer_that_is_down_is_503_and_static_tokens_still_work(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    server.is_down = True
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        answers = [await _begin(client, server.token(_MOUNT)) for _ in range(5)]
        static = await _begin(client, _STATIC)

    assert {(answer.status, answer.reason) for answer in answers} == {(503, "issuer_unavailable")}
    assert "Retry-After" in answers[0].headers
    assert static.status == 200
    assert sum(server.asked.values()) == 1


async def test_metadata_of_another_issuer_is_refused(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    server.named = "https://else"
    async with connected(_config(shared_backing, upstream, server), initialize=False) as client:
        assert (await _begin(client, server.token(_MOUNT))).status == 503


@pytest.mark.requirement("authorization.passthrough")
async def test_the_token_is_sent_upstream_only_where_configured(
    shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer
) -> None:
    token = server.token(_MOUNT)
    passing = {"client_headers": {"passthrough": ["Authorization"]}}
    core = {"public_base_url": _BASE, "auth": {"enabled": True, "token": _STATIC, "oauth": {"issuer": server.url}}}
    for passes, expected in ((False, None), (True, f"Bearer {token}")):
        config = shared_backing.config(
            entry(upstream.url, upstream=passing, pass_client_token=passes), core=core
        )
        async with connected(config, initialize=False) as client:
            await client.initialize(_bearer(token))
            assert upstream.last("initialize").request.headers.get("Authorization") == expected
            await client.initialize(_bearer(_STATIC))
            assert "Authorization" not in upstream.last("initialize").request.headers


async def test_health_needs_no_token(shared_backing: Backing, upstream: ScriptedUpstream, server: Issuer) -> None:
    config = _config(shared_backing, upstream, server)
    async with gateway(config) as base, aiohttp.ClientSession(base) as http:
        for headers, shown in (({}, False), (_bearer("x"), False), (_bearer(server.token(_BASE)), True)):
            async with http.get("/healthz", headers=headers) as answer:
                found = msgspec.json.decode(await answer.read())
                assert ("upstream_url" in found["servers"][0]) is shown
