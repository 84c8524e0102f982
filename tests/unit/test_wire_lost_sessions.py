"""Tool errors that report a lost session behind a server."""

import pytest

from longshore.gateway.wire.lost_sessions import is_lost_session


def _error(text: str) -> bytes:
    return b'{"id":1,"result":{"content":[{"type":"text","text":"%s"}],"isError": true}}' % text.encode()


@pytest.mark.parametrize(
    "text",
    [
        "Session terminated", "session not found", "MCP session has been terminated", "Invalid session ID",
        "Session ID not found", "unknown session", "Error: session expired",
    ],
)
def test_a_lost_session_is_recognised_in_many_wordings(text: str) -> None:
    assert is_lost_session(_error(text))
    assert is_lost_session(b"event: message\r\ndata: " + _error(text) + b"\r\n\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"", _error("file not found"), _error("the browser crashed"), _error("obsession not foundered"),
        _error("session terminated").replace(b"true", b"false"),
        _error("session terminated" + "x" * 5000),
        b'data: {"method":"notifications/progress"}\n\ndata: ' + _error("session terminated"),
    ],
)
def test_other_errors_are_none(body: bytes) -> None:
    """Also after a progress notification: the tool may have run."""
    assert not is_lost_session(body)
