"""Refusal of unsuitable servers by their INFO and error replies."""

import pytest

from longshore.shared.redis.requirements import unsuitable_reply, unsuitable_server

_REDIS = "# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n# Cluster\r\ncluster_enabled:0\r\n"
_VALKEY = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nserver_mode:standalone\r\n"


_GOOD = [*(_REDIS.format(version=version) for version in ("6.2.0", "7.0.15", "8.4.1", "10.0")), _VALKEY, ""]


@pytest.mark.parametrize("info", _GOOD)
def test_single_servers_from_6_2_on_are_accepted(info: str) -> None:
    assert unsuitable_server(info) is None


@pytest.mark.parametrize("version", ["6.0.20", "5.0.14", "2.8.4"])
def test_an_older_server_is_refused_with_both_versions(version: str) -> None:
    assert f"is version {version}; longshore needs 6.2" in str(unsuitable_server(_REDIS.format(version=version)))


@pytest.mark.parametrize("line", ["redis_mode:cluster", "server_mode:cluster", "cluster_enabled:1"])
def test_a_cluster_is_refused(line: str) -> None:
    assert "is a cluster" in str(unsuitable_server(f"redis_version:7.4.0\r\n{line}\r\n"))


def test_a_sentinel_in_place_of_a_server_is_refused_with_the_right_key() -> None:
    assert "sentinel.hosts" in str(unsuitable_server("redis_version:7.2.4\r\nredis_mode:sentinel\r\n"))


@pytest.mark.parametrize("words", ["LOADING Redis is loading", "MASTERDOWN x", "CLUSTERDOWN x", "ERR something else"])
def test_a_temporary_error_is_no_refusal(words: str) -> None:
    assert unsuitable_reply(words) is None


@pytest.mark.parametrize(
    "words, said",
    [
        ("WRONGPASS invalid username-password pair", "user or password"),
        ("NOAUTH Authentication required.", "user or password"),
        ("ERR AUTH <password> called without any password configured for the default user.", "user or password"),
        ("NOPERM this user has no permissions to run the 'select' command", "permissions"),
        ("ERR DB index is out of range", "no database"),
    ],
)
def test_an_error_for_the_operator_is_reported(words: str, said: str) -> None:
    assert said in str(unsuitable_reply(words))
