"""Headers that reach an upstream, and headers that never do."""

import pytest
from multidict import CIMultiDict

from longshore.gateway.upstream.headers import HeaderRules, check_required, upstream_headers
from longshore.shared.config import ClientHeaders, Server, Upstream
from longshore.shared.errors import BadRequest

_OWN_HEADER = "X-Mcp-Adapter-Auth-Token"
_OWN_TOKEN = "longshore-own-token"
_CALLER = CIMultiDict({
    "Authorization": "Bearer theirs", "Cookie": "a=b", _OWN_HEADER: _OWN_TOKEN, "X-Tenant": "t1", "X-Other": "o",
    "MCP-Protocol-Version": "2025-11-25", "Last-Event-ID": "7", "Mcp-Session-Id": "ours", "Host": "gateway",
    "X-Forwarded-For": "1.2.3.4", "Content-Length": "5", "Transfer-Encoding": "chunked", "User-Agent": "client/1",
    "Proxy-Authorization": "Basic x", "Origin": "https://page", "traceparent": "00-1-2-3",
})
_BASIC = {
    "Content-Type": "application/json", "Accept": "application/json", "Mcp-Session-Id": "theirs",
    "MCP-Protocol-Version": "2025-11-25", "Last-Event-ID": "7",
}


def _rules(
    passthrough: tuple[str, ...] = (), required: tuple[str, ...] = (), static: dict[str, str] | None = None
) -> HeaderRules:
    upstream = Upstream(
        url="http://up/mcp", static_headers=static or {},
        client_headers=ClientHeaders(required=required, passthrough=passthrough),
    )
    return HeaderRules.of(Server(id="s", mount_path="/mcp/s", upstream=upstream), credential_header=_OWN_HEADER)


def _sent(rules: HeaderRules, incoming: CIMultiDict[str] = _CALLER, *, session_id: str = "theirs") -> dict[str, str]:
    return upstream_headers(rules, incoming, accept="application/json", session_id=session_id, own_tokens=(_OWN_TOKEN,))


def test_only_what_the_protocol_needs_travels_by_itself() -> None:
    assert _sent(_rules()) == _BASIC


def test_a_session_that_is_not_there_yet_is_not_named() -> None:
    assert "Mcp-Session-Id" not in _sent(_rules(), session_id="")


def test_headers_that_the_configuration_names_travel() -> None:
    sent = _sent(_rules(("X-Tenant", "X-Absent"), ("X-Other",)))

    assert sent == _BASIC | {"X-Tenant": "t1", "X-Other": "o"}


@pytest.mark.parametrize("name", ["Authorization", "authorization", "Cookie"])
def test_credentials_of_the_caller_travel_only_when_they_are_named(name: str) -> None:
    assert not {"authorization", "cookie"} & {sent.lower() for sent in _sent(_rules())}
    assert _sent(_rules((name,)))[name] == _CALLER[name]


@pytest.mark.parametrize(
    "value", [_OWN_TOKEN, f"Bearer {_OWN_TOKEN}", f"bearer  {_OWN_TOKEN} ", f"a=b; token={_OWN_TOKEN}"]
)
@pytest.mark.parametrize("name", ["Authorization", "Cookie", "X-Tenant"])
def test_our_own_token_never_travels_in_whatever_header(name: str, value: str) -> None:
    incoming = CIMultiDict({name: value})

    assert name not in _sent(_rules((name,)), incoming)


@pytest.mark.parametrize("name", [_OWN_HEADER, _OWN_HEADER.lower(), _OWN_HEADER.upper()])
def test_our_own_credential_header_never_travels_even_when_it_is_named(name: str) -> None:
    incoming = CIMultiDict({_OWN_HEADER: "some other value"})

    sent = _sent(_rules((name,), (name,)), incoming)

    assert _OWN_HEADER.lower() not in {sent_name.lower() for sent_name in sent}


@pytest.mark.parametrize(
    "name",
    ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Proxy-Authorization", "Mcp-Session-Id", "Accept"],
)
def test_headers_of_the_hop_are_its_own(name: str) -> None:
    sent = _sent(_rules((name, name.lower())))

    assert sent == _BASIC


def test_configured_values_win_over_the_callers_in_any_spelling() -> None:
    sent = _sent(_rules(("authorization", "X-Tenant"), static={"Authorization": "Bearer service"}))

    assert sent == _BASIC | {"Authorization": "Bearer service", "X-Tenant": "t1"}


@pytest.mark.parametrize(
    "passthrough", [("X-Tenant", "x-tenant"), ("X-Tenant", "mcp-protocol-version"), ("X-Tenant", "LAST-EVENT-ID")]
)
def test_no_header_is_sent_twice_in_two_spellings(passthrough: tuple[str, ...]) -> None:
    assert _sent(_rules(passthrough)) == _BASIC | {"X-Tenant": "t1"}


@pytest.mark.parametrize("incoming", [{}, {"X-Key": ""}, {"X-Keys": "1"}])
def test_a_missing_required_header_is_named(incoming: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="X-Key"):
        check_required(_rules(required=("X-Key",)), CIMultiDict(incoming))


def test_a_required_header_is_found_in_any_spelling() -> None:
    check_required(_rules(required=("X-Key",)), CIMultiDict({"x-key": "1"}))
