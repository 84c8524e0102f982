"""Address of a request's client behind trusted and lying proxies."""

from ipaddress import ip_network

import pytest
from multidict import CIMultiDict

from longshore.gateway.auth.client_address import base_url, client_address, is_trusted
from longshore.shared.config import Config, Core, Server, Upstream

_TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8")))


@pytest.mark.parametrize(
    "address, expected",
    [
        ("10.1.2.3", True), ("192.0.2.7", True), ("192.0.2.8", False), ("fd00::1", True), ("fe80::1", False),
        ("::ffff:10.1.2.3", True), ("::ffff:11.1.2.3", False), ("::1", False), ("fd00::1%eth0", True),
        ("", False), ("unknown", False), ("10.1.2.3:80", False), ("10.1.2", False), ("010.1.2.3", False),
    ],
)
def test_trust_is_by_network(address: str, expected: bool) -> None:
    assert is_trusted(address, _TRUSTED) is expected
    assert not is_trusted(address, ())


@pytest.mark.parametrize(
    "peer, forwarded, expected",
    [
        ("203.0.113.5", [], "203.0.113.5"),
        # A stranger may say what it likes.
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("203.0.113.5", ["10.0.0.1"], "203.0.113.5"),
        ("", ["198.51.100.1"], ""),
        # A proxy says whom it saw; what stands before that, the client wrote.
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["10.9.9.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2", "192.0.2.7"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["198.51.100.1,"], "198.51.100.1"),
        ("10.0.0.1", [" , ,"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        # Only proxies on the way: the first of them asked.
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # What is no address names nobody.
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["a@b:*\n"], "10.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_proxys(peer: str, forwarded: list[str], expected: str) -> None:
    headers = CIMultiDict([("x-forwarded-for", line) for line in forwarded])

    assert client_address(peer, headers, _TRUSTED) == expected


def _config(**core: object) -> Config:
    server = Server(id="s", mount_path="/mcp/s", upstream=Upstream(url="http://up/mcp"))
    return Config(core=Core(trusted_proxies=_TRUSTED, **core), servers=(server,))  # type: ignore[arg-type]


_FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "files.example", "Host": "inner:8932"}


@pytest.mark.parametrize(
    "core, peer, headers, expected",
    [
        ({"public_base_url": "https://pub.example/x/"}, "10.0.0.1", _FORWARDED, "https://pub.example/x"),
        ({}, "10.0.0.1", _FORWARDED, "https://files.example"),
        ({}, "203.0.113.5", _FORWARDED, "http://inner:8932"),
        ({}, "10.0.0.1", {"Host": "inner"}, "http://inner"),
        ({}, "10.0.0.1", _FORWARDED | {"X-Forwarded-Proto": "https, http"}, "https://files.example"),
        ({}, "10.0.0.1", _FORWARDED | {"X-Forwarded-Proto": "javascript"}, "http://files.example"),
        ({}, "10.0.0.1", _FORWARDED | {"X-Forwarded-Host": "files.example, inner"}, "https://files.example"),
        ({}, "10.0.0.1", _FORWARDED | {"X-Forwarded-Host": ""}, "https://inner:8932"),
        ({"host": "0.0.0.0", "port": 8932}, "203.0.113.5", {}, "http://127.0.0.1:8932"),
        ({"host": "::", "port": 1}, "203.0.113.5", {}, "http://[::1]:1"),
        ({"host": "192.0.2.1", "port": 80}, "203.0.113.5", {}, "http://192.0.2.1:80"),
    ],
)
def test_links_begin_with_what_the_client_can_reach(
    core: dict[str, object], peer: str, headers: dict[str, str], expected: str
) -> None:
    assert base_url(_config(**core), peer, CIMultiDict(headers)) == expected
