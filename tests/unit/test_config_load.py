"""Loading of configuration files: faults, variables, YAML features, and checks that involve several keys."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.config import Config, ConfigError, Fault, find_config, load_config, require_shared_redis
from longshore.shared.config.load import parse_config

_SERVER = """
servers:
  - id: a
    mount_path: /mcp/a
    upstream: {url: http://u/mcp}
"""


@pytest.fixture
def load(tmp_path: Path) -> "Loader":
    return Loader(tmp_path / "config.yaml")


class Loader:
    """Writes text to a file and loads it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, text: str, environ: Mapping[str, str] | None = None) -> Config:
        self.file.write_text(dedent(text))
        return load_config(self.file, environ=environ or {})

    def faults(self, text: str, environ: Mapping[str, str] | None = None) -> tuple[Fault, ...]:
        with pytest.raises(ConfigError) as refusal:
            self(text, environ)
        assert str(self.file) in str(refusal.value)
        return refusal.value.faults


def test_every_fault_is_reported_at_once_with_its_line_and_path(load: Loader) -> None:
    faults = load.faults("""\
        core:
          prot: 1
          port: 0
          port: 8932
          tool_call_timeout_seconds: 3
          auth: {enabled: true, token: "${NOPE}"}
          code_mode_enabled: true
          upstream_ping: [1]
        servers:
          - id: a
            mount_path: /
            upstream: {transport: sse, url: "ftp://u:hunter2@x"}
            adapters: [{type: upload}, {tools: []}, 7]
          - {id: a, mount_path: /m, upstream: {}}
        """)

    assert [(fault.line, fault.path) for fault in faults] == [
        (2, "core.prot"),
        (3, "core.port"),
        (4, ""),
        (5, "core.tool_call_timeout_seconds"),
        (6, "core.auth.token"),
        (7, "core.code_mode_enabled"),
        (8, "core.upstream_ping"),
        (11, "servers[0].mount_path"),
        (12, "servers[0].upstream.url"),
        (12, "servers[0].upstream.transport"),
        (13, "servers[0].adapters[0].type"),
        (13, "servers[0].adapters[1].type"),
        (13, "servers[0].adapters[2]"),
        (14, "servers[1].upstream.url"),
        (14, "servers[1].id"),
    ]
    assert "hunter2" not in " ".join(map(str, faults))


@pytest.mark.parametrize(
    "text, said",
    [
        ("core: {prot: 1}", "did you mean port?"),
        ("core: {PORT: 1}", "did you mean port?"),
        ("cores: {}", "did you mean core?"),
        ("core: {token: x}", "belongs at core.auth.token"),
        ("core: {auth: {tokn: x}}", "Allowed here: enabled, header_name, token,"),
        ("core: {log_level: warn}", "did you mean warning?"),
        ("core: {log_level: loud}", "debug, info, warning, error, critical"),
        ("core: {port: 70000}", "'70000' is refused: out of range; allowed: a whole number from 1 to 65535"),
        ("core: {port: '${PORT}'}", "PORT is not set"),
        ("core: {host: }", "must not be null"),
        ("core: 5", "is a section"),
        ("core: {port: {a: 1}}", "is not a single value"),
        ("core: {trusted_proxies: 10.0.0.0/8}", "is not a list"),
        ("core: {trusted_proxies: [10.0.0.1/8]}", "bits are set behind its prefix"),
        ("storage: {root: /}", "whole file system"),
        ("core: {\"a\\nb\": 1}", "'a\\nb'"),
    ],
)
def test_a_fault_names_the_accepted_values_and_the_most_similar_name(load: Loader, text: str, said: str) -> None:
    (fault,) = load.faults(text + _SERVER)

    assert said in str(fault)
    assert "\n" not in str(fault)
    assert fault.line == 1


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "servers: is required"),
        ("servers: []", "servers: is required"),
        ("servers:", "servers: is required"),
        ("servers: {}", "servers: is a list"),
        ("[1]", "is a section"),
        ("just words", "is a section"),
        ("a: [", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a: *nowhere", "not valid YAML"),
        ("a: \x01", "a character that YAML does not allow"),
        ("a: !!python/object/apply:os.system ['true']" + _SERVER, "the tag '!!python/object/apply:os.system'"),
        ("core: !mine {}" + _SERVER, "the tag '!mine'"),
        ("? [a]\n: 1" + _SERVER, "a key must be a plain word"),
        ("a: &a [*a]", "or inside itself"),
        ("a: " + "[" * 5000, "nested deeper"),
        ("a: " + "{a: " * 5000, "nested deeper"),
    ],
)
def test_a_file_that_is_not_a_configuration_is_refused(load: Loader, text: str, said: str) -> None:
    assert said in " ".join(map(str, load.faults(text)))


_PIECES = [
    "core", "servers", "auth", "token", "port", "adapters", "type", "a", "1", "null", "~", "${A}", "${", "$${",
    "'", '"', ": ", ":", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "<<: *a", "!!set ", "!x ", "? ", "| ", "# ",
    "\n", "\n  ",
]
_CHARACTERS = st.characters(exclude_categories=["Cs"])


@given(text=st.lists(st.sampled_from(_PIECES) | _CHARACTERS, max_size=40).map("".join))
def test_any_text_that_is_not_a_configuration_is_refused_with_faults(text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(text, environ={})

    assert refusal.value.faults


def test_expanded_aliases_are_limited(load: Loader) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    (fault,) = load.faults("\n".join(lines))

    assert "once aliases are expanded" in fault.text


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    huge, latin = tmp_path / "huge.yaml", tmp_path / "latin.yaml"
    huge.write_text("#" * (1024 * 1024 + 1))
    latin.write_bytes(b"core:\n  host: \xe9\n")

    for path, said in [
        (tmp_path / "missing.yaml", "No such file"),
        (tmp_path, "directory"),
        (huge, "larger than"),
        (latin, "line 2: is not UTF-8"),
    ]:
        with pytest.raises(ConfigError) as refusal:
            load_config(path, environ={})
        assert said in str(refusal.value)


def test_values_keep_their_text_regardless_of_yaml_types(load: Loader) -> None:
    config = load("""\
        \ufeffcore:
          auth: {token: 0123, signing_secret: yes}
          admin_port: "0"
        storage: {dir_mode: 0750, file_mode: "640"}
        servers:
          - id: 1e3
            mount_path: mcp/a/
            upstream: {url: http://u/mcp, static_headers: {X-Version: 1.10, X-Empty: ""}}
        """)

    assert (config.core.auth.token, config.core.auth.signing_secret) == ("0123", "yes")
    assert config.core.admin_port == 0
    assert (config.storage.dir_mode, config.storage.file_mode) == (0o750, 0o640)
    assert (config.servers[0].id, config.servers[0].mount_path) == ("1e3", "/mcp/a")
    assert config.servers[0].upstream.static_headers == {"X-Version": "1.10", "X-Empty": ""}


def test_variables_work_in_keys_of_any_type(load: Loader, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")

    config = load(
        f"""\
        core:
          port: ${{PORT}}
          allow_artifacts_download: ${{DOWNLOADS:-on}}
          auth: {{token: "${{file:{secret}}}", signing_secret: "$${{x}}"}}
          trusted_proxies: ["${{NET:-10.0.0.0/8}}"]
        uploads: {{max_file_bytes: "${{SIZE}}", ttl_seconds: "${{TTL:-null}}"}}
        """
        + _SERVER.replace("\n", "\n        "),
        {"PORT": "9000", "SIZE": "1Mi"},
    )

    assert (config.core.port, config.core.allow_artifacts_download) == (9000, True)
    assert (config.core.auth.token, config.core.auth.signing_secret) == ("s3cret", "${x}")
    assert [str(network) for network in config.core.trusted_proxies] == ["10.0.0.0/8"]
    assert (config.uploads.max_file_bytes, config.uploads.ttl_seconds) == (1024**2, None)


def test_a_secret_from_a_variable_is_in_no_message(load: Loader) -> None:
    (fault,) = load.faults("core: {port: '${PORT}', auth: {token: '${TOKEN}'}}" + _SERVER,
                           {"PORT": "hunter2hunter2", "TOKEN": "fine"})
    (other,) = load.faults("core: {auth: {token: 'hünter2'}}" + _SERVER)

    assert "hunter2" not in str(fault)
    assert "hünter2" not in str(other)


def test_merged_keys_yield_to_own_keys(load: Loader) -> None:
    config = load("""\
        servers:
          - &first
            id: a
            mount_path: /mcp/a
            upstream: {url: http://u/mcp}
            tool_defaults: {tool_call_timeout_seconds: 5}
          - <<: *first
            id: b
            mount_path: /mcp/b
        """)

    assert [server.id for server in config.servers] == ["a", "b"]
    assert config.servers[1].tool_defaults.tool_call_timeout_seconds == 5


def test_the_alias_of_a_key_is_accepted_and_both_names_at_once_are_refused(load: Loader) -> None:
    adapter = "    adapters:\n      - {{type: artifact_producer, tools: [t], output_path_argument: p, {} }}\n"

    config = load(_SERVER + adapter.format("include_raw_output: true"))
    faults = load.faults(_SERVER + adapter.format("include_raw_output: true, allow_raw_output: false"))

    assert config.allow_raw_output(config.servers[0], config.servers[0].adapters[0])
    assert "another name of allow_raw_output" in faults[0].text


_REDIS = "state_persistence.redis"
_PRODUCER = "    adapters: [{type: artifact_producer, tools: [t], output_locator: {mode: structured}}]\n"


@pytest.mark.parametrize(
    "text, path",
    [
        ("core: {auth: {enabled: true}}" + _SERVER, "core.auth.token"),
        ("core: {auth: {enabled: true, token: ' '}}" + _SERVER, "core.auth.token"),
        ("core: {admin_port: 8932}" + _SERVER, "core.admin_port"),
        ("state_persistence: {type: redis}" + _SERVER, f"{_REDIS}.host"),
        ("state_persistence: {redis: {url: redis://h, db: 1}}" + _SERVER, f"{_REDIS}.db"),
        ("storage: {artifact_locator_policy: allow_configured_roots, artifact_locator_allowed_roots: [' ']}" + _SERVER,
         "storage.artifact_locator_allowed_roots"),
        (_SERVER + "  - {id: ' a', mount_path: /b, upstream: {url: http://u}}", "servers[1].id"),
        (_SERVER + "  - {id: b, mount_path: mcp/a/, upstream: {url: http://u}}", "servers[1].mount_path"),
        (_SERVER + "  - {id: b, mount_path: /upload/b, upstream: {url: http://u}}", "servers[1].mount_path"),
        (_SERVER + "  - {id: b, mount_path: /healthz, upstream: {url: http://u}}", "servers[1].mount_path"),
        (_SERVER + _PRODUCER, "servers[0].adapters[0].output_locator.output_path_key"),
        ("core: {auth: {enabled: true, token: t}}" + _SERVER.replace(
            "http://u/mcp", "http://u/mcp, client_headers: {passthrough: [x-mcp-adapter-auth-token]}"),
         "servers[0].upstream.client_headers.passthrough"),
        ("core: {public_base_url: 'http://files.example'}\nfiles: {sep_2631: true}" + _SERVER, "files.sep_2631"),
        ("core: {public_base_url: 'http://127.evil.example'}\nfiles: {sep_2631: true}" + _SERVER, "files.sep_2631"),
        ("files: {sep_2631: true}" + _SERVER, "files.sep_2631"),
        ("uploads: {require_sha256: true}\nfiles: {openai_file_params: true}" + _SERVER, "files.openai_file_params"),
    ],
)
def test_contradictory_keys_are_refused(load: Loader, text: str, path: str) -> None:
    (fault,) = load.faults(text)

    assert fault.path == path


@pytest.mark.parametrize(
    "text",
    [
        "core: {auth: {token: ' '}}",
        "core: {admin_host: 127.0.0.2, host: 127.0.0.1, admin_port: 8932}",
        "core: {admin_port: 0}",
        "state_persistence: {type: redis, redis: {host: r}}",
        "state_persistence: {type: redis, redis: {url: 'redis://r', tls_insecure: true, port: 6379}}",
        "storage: {artifact_locator_policy: allow_configured_roots, artifact_locator_allowed_roots: [/srv, '']}",
        "core: {public_base_url: 'https://files.example'}\nfiles: {sep_2631: true}",
        "core: {public_base_url: 'http://127.0.0.1:8932'}\nfiles: {sep_2631: true}",
        "core: {host: 127.0.0.1}\nfiles: {sep_2631: true}",
        "core: {host: '::1'}\nfiles: {sep_2631: true}",
        "core: {trusted_proxies: [10.0.0.0/8]}\nfiles: {sep_2631: true}",
    ],
)
def test_consistent_keys_are_accepted(load: Loader, text: str) -> None:
    assert load(text + _SERVER).servers[0].id == "a"


def test_an_invalid_redis_variable_is_a_fault_without_its_value(load: Loader) -> None:
    (fault,) = load.faults(_SERVER, {"LONGSHORE_REDIS_URL": "http://u:hunter2@h"})

    assert "LONGSHORE_REDIS_URL" in fault.text
    assert "hunter2" not in fault.text


def test_separate_processes_require_a_shared_redis(load: Loader) -> None:
    private = load(_SERVER)
    named = load(_SERVER, {"LONGSHORE_REDIS_URL": "redis://h"})
    configured = load("state_persistence: {type: redis, redis: {host: h}}" + _SERVER)

    require_shared_redis(named)
    require_shared_redis(configured)
    with pytest.raises(ConfigError, match="longshore up"):
        require_shared_redis(private)


def test_the_file_is_the_argument_else_the_variable_else_config_yaml() -> None:
    environ = {"MCP_ADAPTER_CONFIG": "/etc/a.yaml"}

    assert find_config(Path("b.yaml"), environ=environ) == Path("b.yaml")
    assert find_config(None, environ=environ) == Path("/etc/a.yaml")
    assert find_config(None, environ={}) == Path("config.yaml")
