"""Rate limits of principals and addresses: too many requests are 429, and others are not affected."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.fixtures.gateway import INIT, Backing, Client, connected, consumer, entry, gateway, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, writes

_TOKENS = [{"name": name, "token": f"token-of-{name}"} for name in ("ada", "bob")]
_CORE: dict[str, Any] = {
    "auth": {"enabled": True, "tokens": _TOKENS}, "trusted_proxies": ["127.0.0.1"], "allow_artifacts_download": True,
}


def _as(name: str, address: str = "192.0.2.1") -> dict[str, str]:
    return {"Authorization": f"Bearer token-of-{name}", "X-Forwarded-For": address}


@pytest.mark.requirement("tools.rate")
async def test_requests_beyond_the_rate_are_429_and_other_principals_are_served(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    limits = {"per_principal": {"requests_per_second": 1, "burst": 5}}
    config = fresh_backing.config(entry(upstream.url), core=_CORE, limits=limits)
    async with connected(config, initialize=False) as ada:
        await ada.initialize(_as("ada"))  # two requests
        answers = [await ada.request("tools/list", None, _as("ada")) for _ in range(6)]
        bob = Client(ada.http, ada.base, ada.mount)
        await bob.initialize(_as("bob"))

    refused = [answer for answer in answers if answer.status != 200]
    assert 2 <= len(refused) <= 3
    assert {(answer.status, answer.reason) for answer in refused} == {(429, "rate_limited")}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)


async def test_racing_gateways_admit_no_more_than_the_burst(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    limits = {"per_address": {"requests_per_second": 1, "burst": 10}}
    config = fresh_backing.config(entry(upstream.url), core=_CORE, limits=limits)
    async with gateway(config) as first, gateway(config) as second, aiohttp.ClientSession() as http:
        clients = [Client(http, base, "/mcp/files") for base in (first, second) for _ in range(15)]
        answers = await asyncio.gather(*(client.request("initialize", INIT, _as("ada")) for client in clients))
        other = await clients[0].request("initialize", INIT, _as("ada", "192.0.2.2"))
        near = [await clients[0].request("initialize", INIT, _as("ada", f"2001:db8::{n:x}")) for n in range(1, 15)]

    assert 10 <= [answer.status for answer in answers].count(200) <= 12
    assert other.status == 200
    assert 10 <= [answer.status for answer in near].count(200) <= 12


async def test_concurrent_calls_are_limited_and_their_slots_are_released(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    go_on = asyncio.Event()

    async def slow(seen: Seen) -> Reply:
        await go_on.wait()
        return result(seen, {"content": []})

    upstream.behaviours["tools/call"] = slow
    limits = {"per_principal": {"concurrent_calls": 2}}
    config = fresh_backing.config(entry(upstream.url), core=_CORE, limits=limits)
    async with connected(config, initialize=False) as client, asyncio.TaskGroup() as group:
        await client.initialize(_as("ada"))
        running = [
            group.create_task(client.request("tools/call", {"name": "echo"}, _as("ada"))) for _ in range(2)
        ]
        async with asyncio.timeout(20):
            while len(upstream.calls("tools/call")) < 2:
                await asyncio.sleep(0.01)

        third = await client.request("tools/list", None, _as("ada"))
        assert (third.status, third.reason) == (429, "rate_limited")
        go_on.set()
        assert [(await task).status for task in running] == [200, 200]
        assert (await client.request("tools/list", None, _as("ada"))).status == 200


async def test_bytes_are_charged_in_both_directions_and_for_signed_links(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    upstream.behaviours["tools/call"] = writes(b"x" * 600)
    limits = {"per_principal": {"bytes_per_hour": 1000, "concurrent_transfers": 1}}
    config = fresh_backing.config(
        entry(upstream.url, consumer("read"), producer("write")), core=_CORE, limits=limits
    )
    async with connected(config, initialize=False) as client:
        await client.initialize(_as("ada"))
        links = [await _upload_link(client) for _ in range(2)]
        made = await client.result("tools/call", {"name": "write", "arguments": {}}, _as("ada"))
        uri = next(item["uri"] for item in made["content"] if item["type"] == "resource_link")
        path = uri.replace("artifact://sessions/", "files/")

        assert (await client.upload(links[0], ("a.txt", b"y" * 500))).status == 200
        headers = {**_as("ada"), "Mcp-Session-Id": client.session_id}
        async with client.http.get(f"{client.base}/artifacts/{path}", headers=headers) as download:
            assert (download.status, len(await download.read())) == (200, 600)
        refused = await client.upload(links[1], ("b.txt", b"z"))
        bob = Client(client.http, client.base, client.mount)
        await bob.initialize(_as("bob"))
        other = await bob.upload(await _upload_link(bob, "bob"), ("c.txt", b"z"))

    assert (refused.status, refused.reason, other.status) == (429, "rate_limited", 200)
    assert 1 <= int(refused.headers["Retry-After"]) < 3600


async def _upload_link(client: Client, name: str = "ada") -> str:
    made = await client.result("tools/call", {"name": "files_get_upload_url"}, _as(name))
    link: str = made["structuredContent"]["upload_url"]
    return link


@pytest.mark.parametrize("gateways", [1, 2])
async def test_an_address_with_many_wrong_credentials_is_blocked_and_others_are_not(
    fresh_backing: Backing, upstream: ScriptedUpstream, gateways: int
) -> None:
    limits = {"failed_credentials_per_minute": 10}
    config = fresh_backing.config(entry(upstream.url), core=_CORE, limits=limits)
    async with gateway(config) as first, gateway(config) as second, aiohttp.ClientSession() as http:
        clients = [Client(http, base, "/mcp/files") for base in (first, second)[:gateways]]
        await clients[0].initialize(_as("ada"))
        tries = [
            await clients[n % gateways].request("initialize", INIT, {**_as("ada"), "Authorization": f"Bearer {n}"})
            for n in range(20)
        ]
        guess = await clients[0].request("initialize", INIT, _as("bob"))
        known = await clients[0].request("tools/list", None, _as("ada"))
        elsewhere = await clients[0].request("initialize", INIT, _as("bob", "192.0.2.9"))

    statuses = [answer.status for answer in tries]
    assert 8 <= statuses.count(401) <= 13
    assert statuses[-1] == 429
    assert (guess.status, guess.reason) == (429, "rate_limited")
    assert (known.status, elsewhere.status) == (200, 200)


async def test_a_request_without_a_credential_is_no_failed_attempt(
    fresh_backing: Backing, upstream: ScriptedUpstream
) -> None:
    config = fresh_backing.config(
        entry(upstream.url), core=_CORE, limits={"failed_credentials_per_minute": 2}
    )
    async with connected(config, initialize=False) as client:
        assert {(await client.request("initialize", INIT)).status for _ in range(10)} == {401}
        assert (await client.request("initialize", INIT, _as("ada"))).status == 200
