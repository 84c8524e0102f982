"""Keys of the Redis server: combinations that are accepted, and the resulting address."""

from pathlib import Path

import pytest

from longshore.shared.config import Config, ConfigError, require_shared_redis
from longshore.shared.config.load import parse_config
from longshore.shared.redis.address import RedisAddress, configured_address

_REDIS = "state_persistence.redis"
_SERVER = """
servers:
  - {id: a, mount_path: /mcp/a, upstream: {url: "http://u/mcp"}}
"""


def _load(text: str, **environ: str) -> Config:
    return parse_config(text, environ=environ)


@pytest.mark.parametrize(
    "state, path",
    [
        ("{type: redis, refresh_on_startup: true, redis: {host: h}}", "state_persistence.refresh_on_startup"),
        ("{reconciliation: {legacy_server_id: other}}", "state_persistence.reconciliation.legacy_server_id"),
        ("{type: redis, redis: {host: h, sentinel: {hosts: [s]}}}", f"{_REDIS}.host"),
        ("{type: redis, redis: {port: 1, sentinel: {hosts: [s]}}}", f"{_REDIS}.port"),
        ("{redis: {url: 'redis://h', sentinel: {hosts: [s]}}}", f"{_REDIS}.sentinel.hosts"),
        ("{type: redis, redis: {sentinel: {hosts: ['s:port']}}}", f"{_REDIS}.sentinel.hosts"),
        ("{type: redis, redis: {sentinel: {hosts: ['redis://s']}}}", f"{_REDIS}.sentinel.hosts"),
        ("{type: redis, redis: {sentinel: {master_name: m}}}", f"{_REDIS}.host"),
    ],
)
def test_a_second_address_and_a_refresh_of_a_shared_redis_are_refused(state: str, path: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        _load(f"state_persistence: {state}" + _SERVER)

    assert [fault.path for fault in refusal.value.faults] == [path]


def test_sentinels_replace_the_host() -> None:
    hosts = "[s1, 's2:1', '[::1]:2', '::1']"
    config = _load(f"state_persistence: {{type: redis, redis: {{db: 2, sentinel: {{hosts: {hosts}}}}}}}" + _SERVER)

    require_shared_redis(config)
    address = configured_address(config)

    assert config.redis_url() is None
    assert address.db == 2
    assert address.sentinels is not None
    assert address.sentinels.hosts == (("s1", 26379), ("s2", 1), ("::1", 2), ("::1", 26379))


def _address(redis: str, **environ: str) -> RedisAddress:
    return configured_address(_load(f"state_persistence: {{type: redis, redis: {redis}}}" + _SERVER, **environ))


def test_the_address_contains_every_key() -> None:
    keys = "{host: h, port: 1, db: 3, username: u, password: 'p:/@', tls: true, ca_file: /ca.pem, ping_seconds: 2}"

    assert _address(keys) == RedisAddress(
        host="h", port=1, db=3, username="u", password="p:/@", tls=True, ca_file=Path("/ca.pem"), ping_s=2.0
    )


@pytest.mark.parametrize(
    "redis, tls, insecure",
    [
        ("{host: h}", False, False),
        ("{host: h, tls_insecure: true}", True, True),
        ("{host: h, ca_file: /ca.pem}", True, False),
        ("{url: 'redis://h'}", False, False),
        ("{url: 'redis://h', tls_insecure: true}", True, True),
        ("{url: 'rediss://h'}", True, False),
        ("{url: 'unix:///r.sock', tls_insecure: true}", False, False),
        ("{sentinel: {hosts: [s]}, tls: true}", True, False),
    ],
)
def test_the_address_uses_tls_and_verifies_certificates_as_configured(redis: str, tls: bool, insecure: bool) -> None:
    address = _address(redis)

    assert (address.tls, address.tls_insecure) == (tls, insecure)


def test_the_variable_takes_precedence_over_sentinels() -> None:
    address = _address("{sentinel: {hosts: [s]}, ping_seconds: 1}", LONGSHORE_REDIS_URL="redis://other:7/1")

    assert address == RedisAddress(host="other", port=7, db=1, ping_s=1.0)


def test_the_password_of_sentinels_is_a_secret() -> None:
    config = _load("state_persistence: {redis: {sentinel: {password: hunter22}}}" + _SERVER)

    assert "hunter22" in config.secrets()


def test_a_private_redis_may_be_refreshed() -> None:
    config = _load("state_persistence: {refresh_on_startup: true}" + _SERVER)

    assert config.state_persistence.refresh_on_startup
    assert not config.shares_redis
