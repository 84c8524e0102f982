"""Public addresses: the only ones that a client's URL may lead to."""

import pytest

from longshore.gateway.files.public_addresses import is_public


@pytest.mark.parametrize("address", [
    "8.8.8.8", "1.1.1.1", "93.184.216.34", "223.255.255.254", "2606:4700::1111", "2a00:1450:4001::1",
    "64:ff9b::8.8.8.8",
])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::",                      # this machine
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "fd00::1", "fc00::1", "fec0::1",
    "169.254.169.254", "fe80::1", "fe80::1%eth0",                          # this link, metadata of most clouds
    "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254",    # metadata of others
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8",   # IPv4 in disguise
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2002:808:808::1",
    "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1", "3fff::1", "192.88.99.1",
    "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "ff02::1", "ff0e::1",
    "", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "8.8.8.8.", "8.8.8", "[::1]", "1.2.3.4/8",
])
def test_all_others_are_not(address: str) -> None:
    assert not is_public(address)
