"""Output of `longshore check`: the effective configuration, with secrets masked."""

import re
from pathlib import Path

from longshore.cli.check import render_effective
from longshore.shared.config import Config
from longshore.shared.config.load import load_config, parse_config

_SECRETS = {
    "TOKEN": "token-hunter2",
    "SIGNING": "signing-hunter2",
    "FORMER": "former-hunter2",
    "PASSWORD": "password-hunter2",
    "KEY": "key-hunter2",
    "UPSTREAM": "http://user:upstream-hunter2@u/mcp?key=query-hunter2",
    "LONGSHORE_REDIS_URL": "redis://:variable-hunter2@h",
}
_FULL = """
core:
  auth: {enabled: true, token: "${TOKEN}", signing_secret: "${SIGNING}", previous_signing_secrets: ["${FORMER}"]}
  code_mode_enabled: false
state_persistence: {type: redis, redis: {host: h, password: "${PASSWORD}"}}
storage: {lock_mode: redis}
servers:
  - {id: a, mount_path: /mcp/a, upstream: {url: "${UPSTREAM}", static_headers: {Authorization: "Bearer ${KEY}"}}}
"""
_OPEN = """
core: {trusted_proxies: [10.0.0.0/8], host: "::1"}
storage: {root: /srv/files, dir_mode: 0750, artifact_locator_allowed_roots: [/a, /b]}
state_persistence: {type: redis, redis: {url: "unix:///run/r.sock"}}
uploads: {max_file_bytes: 20Mi, ttl_seconds: null}
servers:
  - id: play wright
    mount_path: mcp/p
    upstream: {url: "http://u/mcp", client_headers: {required: [X-User]}}
    adapters:
      - {type: upload_consumer, tools: ["1"], file_path_argument: a.b, overrides: {tool_call_timeout_seconds: 5}}
      - type: artifact_producer
        tools: [t]
        include_raw_output: true
        output_locator: {mode: regex, output_path_regexes: ['^"([^"]+)"$', '$${x}', 'ü\\n']}
"""


def _parse(text: str) -> Config:
    return parse_config(text, environ={})


def test_the_output_loads_to_the_same_configuration() -> None:
    config = _parse(_OPEN)

    assert _parse(render_effective(config)) == config


def test_no_secret_is_shown() -> None:
    shown = render_effective(parse_config(_FULL, environ=_SECRETS))

    assert "hunter2" not in shown
    assert len(re.findall(r"\*{8}", shown)) == 8


def test_keys_without_effect_are_listed_after_the_configuration() -> None:
    shown = render_effective(parse_config(_FULL, environ=_SECRETS))

    comments = [line for line in shown.splitlines() if line.startswith("# ")]
    assert [line.split(": ")[1] for line in comments[:2]] == ["core.code_mode_enabled", "storage.lock_mode"]
    assert comments[2].startswith("# LONGSHORE_REDIS_URL is set and takes precedence: redis://:")


def test_keys_of_features_that_are_not_available_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(_OPEN)

    shown = render_effective(load_config(file, environ={}))

    assert "tool_metadata_sanitization" not in shown
    assert "lock_mode" not in shown
    assert "max_start_wait_seconds: 60" in shown
