"""Values derived from several keys: inheritance, the Redis URL, secrets, prefixes."""

from urllib.parse import unquote, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.config import (
    ArtifactProducer,
    Auth,
    ClientHeaders,
    Config,
    Core,
    Defaults,
    Redis,
    Server,
    StatePersistence,
    Telemetry,
    ToolDefaults,
    UploadConsumer,
    Upstream,
)
from longshore.shared.config.urls import MASK, mask_url, url_secrets

_UPLOAD = UploadConsumer(tools=("t",), file_path_argument="path")
_ARTIFACT = ArtifactProducer(tools=("t",))
_URL = "https://user:p%40ss1234@h/mcp?api_key=query12"


def _server(defaults: ToolDefaults | None = None, url: str = "http://u/mcp") -> Server:
    upstream = Upstream(url=url, static_headers={"X-Key": "static123"})
    return Server(id="a", mount_path="/mcp/a", upstream=upstream, tool_defaults=defaults or ToolDefaults())


def _config(redis: Redis | None = None, **core: object) -> Config:
    state = StatePersistence(type="redis" if redis is not None else "disk", redis=redis or Redis())
    return Config(core=msgspec.structs.replace(Core(), **core), state_persistence=state, servers=(_server(),))


@pytest.mark.parametrize(
    "core, server, adapter, expected",
    [(60, None, None, 60.0), (60, 5, None, 5.0), (60, 5, 2, 2.0), (None, None, None, None), (None, 5, None, 5.0)],
)
def test_the_timeout_of_the_adapter_precedes_that_of_the_server_and_of_core(
    core: int | None, server: int | None, adapter: int | None, expected: float | None
) -> None:
    config = _config(defaults=Defaults(tool_call_timeout_seconds=core))
    consumer = msgspec.structs.replace(_UPLOAD, overrides=ToolDefaults(tool_call_timeout_seconds=adapter))

    assert config.tool_timeout_s(_server(ToolDefaults(tool_call_timeout_seconds=server)), consumer) == expected


def test_a_call_without_an_adapter_has_the_timeout_of_its_server() -> None:
    server = _server(ToolDefaults(tool_call_timeout_seconds=7))

    assert _config().tool_timeout_s(server) == 7.0


@pytest.mark.parametrize(
    "core, server, overrides, own, expected",
    [
        (None, None, None, None, False),
        (True, None, None, None, True),
        (True, False, None, None, False),
        (False, False, True, None, True),
        (True, True, True, False, False),
    ],
)
def test_raw_output_is_set_by_the_adapter_else_the_server_else_core(
    core: bool | None, server: bool | None, overrides: bool | None, own: bool | None, expected: bool
) -> None:
    config = _config(defaults=Defaults(allow_raw_output=core))
    producer = msgspec.structs.replace(
        _ARTIFACT, allow_raw_output=own, overrides=ToolDefaults(allow_raw_output=overrides)
    )

    assert config.allow_raw_output(_server(ToolDefaults(allow_raw_output=server)), producer) is expected


@pytest.mark.parametrize(
    "server_id, prefix",
    [("Play wright", "Play_wright"), ("a--b", "a_b"), ("_a_", "a"), ("--", "server"), ("ü", "server"), ("b9", "b9")],
)
def test_a_prefix_is_made_of_letters_digits_and_underscores(server_id: str, prefix: str) -> None:
    assert msgspec.structs.replace(_server(), id=server_id).prefix == prefix


def test_a_server_is_found_by_its_id() -> None:
    config = _config()

    assert config.server("a") is config.servers[0]
    assert config.server("b") is None


@pytest.mark.parametrize(
    "redis, url",
    [
        (None, None),
        (Redis(host="h"), "redis://h:6379/0"),
        (Redis(host="h", port=1, db=2, tls=True), "rediss://h:1/2"),
        (Redis(host="h", tls_insecure=True), "rediss://h:6379/0"),
        (Redis(host="h", ca_file="/ca.pem"), "rediss://h:6379/0"),
        (Redis(host="::1"), "redis://[::1]:6379/0"),
        (Redis(host="h", password="p@:/?#ü"), "redis://:p%40%3A%2F%3F%23%C3%BC@h:6379/0"),
        (Redis(host="h", username="u", password="p"), "redis://u:p@h:6379/0"),
        (Redis(url="unix:///run/r.sock?db=1"), "unix:///run/r.sock?db=1"),
    ],
)
def test_the_redis_url_is_built_from_its_parts_or_configured(redis: Redis | None, url: str | None) -> None:
    assert _config(redis).redis_url() == url


@pytest.mark.parametrize("redis", [None, Redis(host="h"), Redis(url="redis://other")])
def test_the_redis_url_of_the_environment_takes_precedence(redis: Redis | None) -> None:
    config = msgspec.structs.replace(_config(redis), redis_url_variable="unix:///run/r.sock")

    assert config.redis_url() == "unix:///run/r.sock"


@given(user=st.text(min_size=1), password=st.text(min_size=1))
def test_the_redis_url_encodes_any_user_and_password(user: str, password: str) -> None:
    url = _config(Redis(host="h", username=user, password=password)).redis_url()

    assert url is not None
    parts = urlsplit(url)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
    assert (parts.hostname, parts.port, parts.path) == ("h", 6379, "/0")


@pytest.mark.parametrize(
    "auth, secret",
    [
        (Auth(), None),
        (Auth(token="t"), "t"),
        (Auth(token="t", signing_secret="s"), "s"),
    ],
)
def test_links_are_signed_with_the_secret_else_the_token(auth: Auth, secret: str | None) -> None:
    assert _config(auth=auth).signing_secret_setting() == secret


def test_secrets_include_those_in_urls() -> None:
    config = msgspec.structs.replace(
        _config(
            Redis(host="h", password="redis123"),
            auth=Auth(token="token123", signing_secret="sign1234", previous_signing_secrets=("former12",)),
        ),
        servers=(_server(url=_URL),),
        redis_url_variable="redis://:variable1@h",
    )

    known = set(config.secrets())

    assert {"token123", "sign1234", "former12", "redis123", "static123"} <= known
    assert {"p@ss1234", "p%40ss1234", "query12", "variable1"} <= known


def test_secret_headers_are_those_that_may_carry_credentials() -> None:
    named = ClientHeaders(passthrough=("X-Tenant",), required=("X-Team",))
    upstream = Upstream(url=_URL, static_headers={"X-Key": "static123"}, client_headers=named)
    config = msgspec.structs.replace(
        _config(auth=Auth(header_name="X-Ours")),
        servers=(Server(id="a", mount_path="/mcp/a", upstream=upstream),),
        telemetry=Telemetry(headers={"X-Collector": "collect1"}),
    )

    assert set(config.secret_headers()) == {"x-ours", "x-collector", "x-key", "x-tenant", "x-team"}
    assert "collect1" in config.secrets()


@pytest.mark.parametrize(
    "url, masked",
    [
        (_URL, f"https://user:{MASK}@h/mcp?api_key={MASK}"),
        ("https://token@h/", f"https://{MASK}@h/"),
        ("http://h:1/mcp", "http://h:1/mcp"),
        ("redis://:p@h/0", f"redis://:{MASK}@h/0"),
    ],
)
def test_a_masked_url_keeps_all_but_its_secrets(url: str, masked: str) -> None:
    assert mask_url(url) == masked
    assert not [secret for secret in url_secrets(url) if len(secret) > 1 and secret in masked]
