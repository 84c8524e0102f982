"""Upstream client over TLS: certificates are verified unless the configuration disables it."""

import ssl
from pathlib import Path

import pytest

from longshore.gateway.upstream.client import UpstreamClient
from longshore.shared.config import Server, Upstream
from longshore.shared.errors import UpstreamDown
from tests.fixtures.certificates import self_signed
from tests.fixtures.raw_server import RawServer, always, answering, raw_server

_BODY = b"x" * 600_000
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


def _client(server: RawServer, *, host: str = "127.0.0.1", insecure: bool) -> UpstreamClient:
    upstream = Upstream(url=f"https://{host}:{server.port}/mcp", insecure_tls=insecure)
    return UpstreamClient(Server(id="raw", mount_path="/raw", upstream=upstream))


async def _post(client: UpstreamClient) -> bytes:
    async with client.exchange("POST", {}, b"y" * 600_000, timeout_s=10) as answer:
        return await answer.read()


async def test_without_checks_any_certificate_will_do(tmp_path: Path) -> None:
    async with raw_server(always(_OK), tls=self_signed(tmp_path).server()) as server:
        client = _client(server, insecure=True)

        assert [await _post(client) for _ in range(3)] == [_BODY] * 3

        assert len(server.connections) == 1
        await client.close()
        await server.until_open(0)


async def test_an_unknown_certificate_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    async with raw_server(always(_OK), tls=self_signed(tmp_path).server()) as server:
        client = _client(server, insecure=False)

        with pytest.raises(UpstreamDown, match="certificate is not valid"):
            await _post(client)

        await client.close()
        assert server.requests == []


async def test_the_server_name_is_sent_in_the_tls_handshake(tmp_path: Path) -> None:
    names: list[str | None] = []
    tls = self_signed(tmp_path, "localhost").server()

    def asked(_: ssl.SSLObject | ssl.SSLSocket, name: str | None, __: ssl.SSLContext) -> None:
        names.append(name)

    tls.sni_callback = asked
    async with raw_server(always(_OK), tls=tls) as server:
        client = _client(server, host="localhost", insecure=True)
        assert await _post(client) == _BODY
        await client.close()

    assert names == ["localhost"]


async def test_a_cut_is_an_error_over_tls_too(tmp_path: Path) -> None:
    async with raw_server(answering(_OK[:-1]), tls=self_signed(tmp_path).server()) as server:
        client = _client(server, insecure=True)

        with pytest.raises(UpstreamDown):
            await _post(client)

        await client.close()
