"""Named tokens in the configuration: accepted, refused and masked."""

import hashlib
from textwrap import indent

import pytest

from longshore.cli.check import render_effective
from longshore.shared.config import Config, ConfigError, NamedToken
from longshore.shared.config.load import parse_config

_SERVERS = """
servers:
  - {id: a, mount_path: /mcp/a, upstream: {url: "http://u/mcp"}}
"""
_HASH = hashlib.sha256(b"of-ada").hexdigest()


def _load(tokens: str, auth: str = "enabled: true") -> Config:
    text = f"core:\n  auth:\n    {auth}\n    tokens:\n{indent(tokens, '      ')}\n{_SERVERS}"
    return parse_config(text, environ={"ADA": "of-ada"})


def test_tokens_have_names_and_servers_and_may_come_from_variables() -> None:
    config = _load('- {name: ada, token: "${ADA}", servers: [a]}\n- {name: bob, token_sha256: "' + "AB" * 32 + '"}')

    assert config.core.auth.tokens == (
        NamedToken(name="ada", token="of-ada", servers=("a",)), NamedToken(name="bob", token_sha256="ab" * 32),
    )


def test_an_entry_may_have_a_token_and_the_digest_of_another() -> None:
    config = _load("- {name: ada, token: new-one, token_sha256: " + _HASH + "}")

    assert (config.core.auth.tokens[0].token, config.core.auth.tokens[0].token_sha256) == ("new-one", _HASH)


@pytest.mark.parametrize(
    "tokens, path, text",
    [
        ("- {name: ada, token: x1}\n- {name: ada, token: x2}", "tokens[1].name", "same"),
        ("- {name: ada, token: secret-one}\n- {name: bob, token: secret-one}", "tokens[1].token", "same"),
        ("- {name: ada, token: of-ada}\n- {name: bob, token_sha256: " + _HASH + "}", "tokens[1].token_sha256", "same"),
        ("- {name: ada}", "tokens[0].token", "must be set"),
        ('- {name: ada, token: ""}', "tokens[0].token", "must be set"),
        ("- {name: ada, token: x1, servers: [b]}", "tokens[0].servers", "not the id"),
        ("- {token: x1}", "tokens[0].name", "required"),
        ("- {name: a#b, token: x1}", "tokens[0].name", "other characters"),
        ("- {name: ada, token_sha256: abc}", "tokens[0].token_sha256", "64 hexadecimal"),
        ("- {name: ada, token: x1, sever: a}", "tokens[0].sever", "did you mean servers"),
    ],
)
def test_invalid_entries_are_refused_without_repeating_the_token(tokens: str, path: str, text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        _load(tokens)

    (fault,) = refusal.value.faults
    assert fault.path == f"core.auth.{path}"
    assert fault.line > 0
    assert text in fault.text
    assert "secret-one" not in str(refusal.value)
    assert _HASH not in str(refusal.value)


def test_a_named_token_cannot_have_the_name_or_value_of_the_single_token() -> None:
    for entry in ("- {name: token, token: x1}", "- {name: ada, token: the-one}"):
        with pytest.raises(ConfigError, match=r"same as at core\.auth\.token"):
            _load(entry, auth="{enabled: true, token: the-one}".strip("{}").replace(", ", "\n    "))


def test_enabled_auth_requires_a_credential() -> None:
    with pytest.raises(ConfigError, match=r"core\.auth\.tokens"):
        parse_config(f"core: {{auth: {{enabled: true, tokens: []}}}}\n{_SERVERS}", environ={})


def test_tokens_are_masked_and_are_secrets() -> None:
    config = _load("- {name: ada, token: secret-one, token_sha256: " + _HASH + "}")

    shown = render_effective(config)

    assert "secret-one" in config.secrets()
    assert "secret-one" not in shown
    assert _HASH not in shown
    assert "name: ada" in shown
