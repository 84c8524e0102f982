"""Envelopes, parsed from arbitrary bytes."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.wire.envelope import Envelope, Kind, parse
from longshore.gateway.wire.modern import is_modern
from longshore.gateway.wire.protocol_errors import ParseError
from longshore.shared.errors import BadRequest

_PROTOCOL = "io.modelcontextprotocol/protocolVersion"

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=8
)
_params = _values | st.fixed_dictionaries(
    {},
    optional={
        "name": _values, "uri": _values, "cursor": _values, "arguments": _values,
        "_meta": _values | st.fixed_dictionaries({_PROTOCOL: _values}),
    },
)
_messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.text() | st.integers() | _scalars, "method": st.text() | _scalars, "params": _params,
        "result": _values, "error": _values, "extension": _values,
    },
)


def _expected(message: dict[str, Any]) -> Envelope | None:
    """Reference implementation on the decoded message; None if it is not a JSON-RPC message."""
    has_id, identity = "id" in message, message.get("id")
    good_id = isinstance(identity, (str, int)) and not isinstance(identity, bool)
    method = message.get("method")
    if method is None and ("result" in message or "error" in message):
        return Envelope(Kind.RESPONSE, identity, "") if good_id else None
    if not isinstance(method, str) or (has_id and not good_id):
        return None
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    named = {key: params[key] for key in ("name", "uri", "cursor") if isinstance(params.get(key), str)}
    meta = params.get("_meta")
    is_modern = isinstance(meta, dict) and meta.get(_PROTOCOL) is not None
    if not has_id:
        return Envelope(Kind.NOTIFICATION, None, method)
    return Envelope(Kind.REQUEST, identity, method, **named, has_modern_meta=is_modern)


def _shown(envelope: Envelope) -> Envelope:
    """Drop the fields that are not used for notifications."""
    if envelope.kind is Kind.NOTIFICATION:
        return Envelope(Kind.NOTIFICATION, None, envelope.method)
    return envelope


@given(_messages)
def test_a_parsed_envelope_equals_a_plain_reading_of_the_json(message: dict[str, Any]) -> None:
    expected = _expected(message)

    try:
        found = _shown(parse(msgspec.json.encode(message)))
    except BadRequest:
        assert expected is None
    else:
        assert found == expected


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: b'{"jsonrpc":"2.0","method":"' + tail))
def test_any_bytes_are_a_message_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(parse(body), Envelope)


@pytest.mark.parametrize(
    "body, expected",
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', Envelope(Kind.REQUEST, 1, "ping")),
        (b'{"jsonrpc":"2.0","id":"1","method":"ping"}', Envelope(Kind.REQUEST, "1", "ping")),
        (b'{"jsonrpc":"2.0","id":"","method":"ping"}', Envelope(Kind.REQUEST, "", "ping")),
        (b'{"jsonrpc":"2.0","method":"notifications/x"}', Envelope(Kind.NOTIFICATION, None, "notifications/x")),
        (b'{"jsonrpc":"2.0","id":1,"result":null}', Envelope(Kind.RESPONSE, 1, "")),
        (b'{"jsonrpc":"2.0","id":1,"error":{}}', Envelope(Kind.RESPONSE, 1, "")),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":null}', Envelope(Kind.REQUEST, 1, "m")),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}', Envelope(Kind.REQUEST, 1, "m")),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":7}}', Envelope(Kind.REQUEST, 1, "m")),
        (
            b' \r\n{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a","uri":"b","cursor":"c"}} ',
            Envelope(Kind.REQUEST, 1, "m", "a", "b", "c"),
        ),
        (
            b'{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"m"}',
            Envelope(Kind.REQUEST, 123456789012345678901234567890, "m"),
        ),
        # The last of duplicate keys counts, as in every common JSON parser.
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"a","method":"b"}', Envelope(Kind.REQUEST, 2, "b")),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":"a"},"params":{"name":"b"}}',
            Envelope(Kind.REQUEST, 1, "m", "b"),
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":' + b"9" * 5000 + b"}}", Envelope(Kind.REQUEST, 1, "m")),
        (b'{"jsonrpc":"2.0","id":1,"\\u006dethod":"m"}', Envelope(Kind.REQUEST, 1, "m")),
    ],
)
def test_messages(body: bytes, expected: Envelope) -> None:
    assert parse(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"nul", b'{"jsonrpc":"2.0","method":"m"}x', b"\xef\xbb\xbf{}", b'{"jsonrpc":"2.0",}',
        b'{"jsonrpc":"2.0","method":"m","params":{"x":NaN}}',
        b'{"jsonrpc":"2.0","id":"\\ud800","method":"m"}',
        b'{"jsonrpc":"2.0","method":"m","params":{"x":"\xff"}}',
        b'{"jsonrpc":"2.0","method":"\xff"}',
        b'{"jsonrpc":"2.0","method":"m","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b"null", b"1", b'"text"', b"{}", b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
        b'{"id":1,"method":"m"}', b'{"jsonrpc":"1.0","id":1,"method":"m"}', b'{"jsonrpc":2,"id":1,"method":"m"}',
        b'{"jsonrpc":"2.0","id":1}', b'{"jsonrpc":"2.0","id":1,"method":7}', b'{"jsonrpc":"2.0","id":1,"method":null}',
        b'{"jsonrpc":"2.0","id":null,"method":"m"}', b'{"jsonrpc":"2.0","id":true,"method":"m"}',
        b'{"jsonrpc":"2.0","id":1.5,"method":"m"}', b'{"jsonrpc":"2.0","id":[1],"method":"m"}',
        b'{"jsonrpc":"2.0","result":{}}', b'{"jsonrpc":"2.0","id":null,"error":{}}',
        b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"m"}',
    ],
)
def test_json_that_is_no_message_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(body)

    assert not isinstance(refused.value, ParseError)


def test_a_batch_is_refused_with_advice() -> None:
    with pytest.raises(BadRequest, match="one message a request"):
        parse(b'\n [{"jsonrpc":"2.0","id":1,"method":"ping"}]')


@pytest.mark.parametrize(
    "body, version",
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"server/discover"}', None),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "2026-07-28"),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "DRAFT-2027"),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"%s":"2026-07-28"}}}' % _PROTOCOL.encode(), None),
        (b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":1,"_meta":{"%s":1}}}' % _PROTOCOL.encode(), None),
    ],
)
def test_modern_messages_are_recognised(body: bytes, version: str | None) -> None:
    assert is_modern(parse(body), version)


@pytest.mark.parametrize("version", [None, "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2025-01-01"])
def test_legacy_messages_are_not_modern(version: str | None) -> None:
    message = parse(b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1}}}')

    assert not is_modern(message, version)
