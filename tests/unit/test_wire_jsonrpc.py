"""JSON-RPC responses of the gateway, and edits of upstream responses."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.envelope import MessageId
from longshore.gateway.wire.protocol_errors import ToolInputError
from longshore.shared.errors import NotFound, UpstreamDown

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), _values, max_size=5))
def test_an_object_survives_decoding_and_encoding(value: dict[str, Any]) -> None:
    body = msgspec.json.encode(value)

    closed = jsonrpc.close_object(jsonrpc.open_object(body))

    assert closed == body


def test_untouched_parts_keep_their_bytes_and_order() -> None:
    """Numbers beyond floating point, escapes and layout stay as the upstream wrote them."""
    untouched = b'{ "n": 1.0000000000000000000001, "big": 1e999, "e": "\\u00fc\\/", "dup": 1, "dup": 2 }'
    opened = jsonrpc.open_object(b'{"z":' + untouched + b',"result":{},"a":[ 1 , 2 ]}')

    opened["result"] = jsonrpc.raw({"x": 1})

    assert jsonrpc.close_object(opened) == b'{"z":' + untouched + b',"result":{"x":1},"a":[ 1 , 2 ]}'


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"1", b'{"a":', b'{"\xff":1}', b"<html>", b'{"a":' + b"[" * 100_000]
)
def test_what_is_no_object_is_the_upstreams_fault(body: bytes) -> None:
    with pytest.raises(UpstreamDown):
        jsonrpc.open_object(body)


@pytest.mark.parametrize(
    "data, request_id, expected",
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', 1, True),
        (b'{"jsonrpc":"2.0","id":1,"error":{}}', 1, True),
        (b'{"jsonrpc":"2.0","id":"1","result":{}}', "1", True),
        (b'{"jsonrpc":"2.0","id":"1","result":{}}', 1, False),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', "1", False),
        (b'{"jsonrpc":"2.0","id":true,"result":{}}', 1, False),
        (b'{"jsonrpc":"2.0","id":2,"result":{}}', 1, False),
        (b'{"jsonrpc":"2.0","id":123456789012345678901,"result":{}}', 123456789012345678901, True),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', 1, False),
        (b'{"jsonrpc":"2.0","method":"notifications/progress"}', 1, False),
        (b'{"jsonrpc":"2.0","id":null,"error":{}}', 1, False),
        (b'{"jsonrpc":"2.0","id":[1],"result":{}}', 1, False),
        (b'{"jsonrpc":"2.0","id":"\xff","result":{}}', 1, False),
        (b"", 1, False), (b"keep-alive", 1, False), (b"[]", 1, False), (b'{"id":' + b"[" * 100_000, 1, False),
    ],
)
def test_a_response_answers_the_request_of_exactly_its_id(data: bytes, request_id: MessageId, expected: bool) -> None:
    assert jsonrpc.is_response_to(data, request_id) is expected


@pytest.mark.parametrize("request_id", ["", "1", 0, 1, -(2**63), 2**64, 10**30, None], ids=repr)
def test_answers_of_ours_carry_the_id_as_it_came(request_id: MessageId) -> None:
    for body in (jsonrpc.result(request_id, {}), jsonrpc.error(request_id, NotFound("gone"))):
        decoded = msgspec.json.decode(body)

        assert decoded["jsonrpc"] == "2.0"
        assert (decoded["id"], type(decoded["id"])) == (request_id, type(request_id))


def test_an_error_has_its_code_sentence_and_reason() -> None:
    decoded = msgspec.json.decode(jsonrpc.error(1, NotFound("no such thing")))

    assert decoded["error"] == {"code": -32002, "message": "no such thing", "data": {"reason": "not_found"}}


def test_a_tool_error_is_a_result_that_the_model_reads() -> None:
    decoded = msgspec.json.decode(jsonrpc.result("a", jsonrpc.tool_failure(ToolInputError("upload it again"))))

    assert decoded["result"] == {
        "content": [{"type": "text", "text": "upload it again"}], "isError": True,
        "_meta": {"longshore/reason": "bad_tool_argument"},
    }
    assert "error" not in decoded
