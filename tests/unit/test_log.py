"""Log lines: their format, without secrets and forged lines."""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextvars import copy_context

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared import log
from longshore.shared.redaction import HIDDEN, Redactor, escape

_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJl"


class Terminal(io.StringIO):
    """A stream on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    log.configure("info", secrets=["hunter2hunter2", "short", "p@ss/word"], stream=stream)
    return stream


def _events(stream: io.StringIO) -> list[dict[str, object]]:
    return [msgspec.json.decode(line, type=dict[str, object]) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json(lines: io.StringIO) -> None:
    structlog.get_logger("longshore.gateway.app").info("started", port=8932, servers=["a"], ready=True, upstream=None)

    (event,) = _events(lines)
    assert list(event)[:4] == ["timestamp", "level", "event", "logger"]
    assert str(event.pop("timestamp")).endswith("Z")
    assert event == {
        "level": "info", "event": "started", "logger": "longshore.gateway.app",
        "port": 8932, "servers": ["a"], "ready": True, "upstream": None,
    }


def test_library_loggers_and_warnings_have_the_same_format(lines: io.StringIO) -> None:
    logging.getLogger("arq.worker").warning("job %s of %d", "j1", 3)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old way", stacklevel=1)

    first, second = _events(lines)
    assert (first["event"], first["level"], first["logger"]) == ("job j1 of 3", "warning", "arq.worker")
    assert "old way" in str(second["event"])


def test_less_severe_events_are_omitted(lines: io.StringIO) -> None:
    logger = structlog.get_logger("x")
    logger.debug("quiet")
    log.configure("error", stream=lines)
    logger.warning("quieter")
    logger.error("loud")

    assert [event["event"] for event in _events(lines)] == ["loud"]


def test_configuring_again_replaces_the_stream(lines: io.StringIO) -> None:
    other = io.StringIO()
    log.configure("info", stream=other)

    structlog.get_logger("x").info("once")

    assert (lines.getvalue(), len(_events(other))) == ("", 1)


def test_context_is_on_every_event_inside_it(lines: io.StringIO) -> None:
    logger = structlog.get_logger("x")
    with log.context(request="r1"):
        logger.info("inside")
        logging.getLogger("foreign").info("inside too")
    logger.info("outside")

    assert [event.get("request") for event in _events(lines)] == ["r1", "r1", None]


@pytest.mark.parametrize(
    "name",
    ["token", "auth_token", "accessToken", "Authorization", "set-cookie", "password", "signing_secret", "api_key",
     "X-Mcp-Adapter-Auth-Token", "sig", "credentials"],
)
def test_a_field_that_is_named_like_a_credential_is_hidden(lines: io.StringIO, name: str) -> None:
    structlog.get_logger("x").info("event", **{name: "abc"}, headers={name: ["abc"]}, many=[{name: b"abc"}])

    (event,) = _events(lines)
    assert event[name] == HIDDEN
    assert event["headers"] == {name: HIDDEN}
    assert event["many"] == [{name: HIDDEN}]


@pytest.mark.parametrize("name", ["tokens_left", "design", "session", "key", "secretary", "has_token"])
def test_a_field_that_only_resembles_one_is_shown(name: str) -> None:
    shown = Redactor().field(name, True if name == "has_token" else 3)

    assert shown in (True, 3)


@pytest.mark.parametrize(
    "text, kept, hidden",
    [
        ("Authorization: Bearer abcdef123456", "Authorization: ", "abcdef"),
        ("{'Authorization': 'Custom abc def', 'a': 'b'}", "'a': 'b'", "abc def"),
        ("Cookie: a=b; c=d", "Cookie: ", "c=d"),
        ("got bearer abcdef123456 from x", "from x", "abcdef"),
        ("Basic dXNlcjpwYXNz", "Basic ", "dXNlcjpwYXNz"),
        (f"jwt is {_JWT}.", "jwt is ", "eyJ"),
        ("GET /upload/a?exp=1&sig=abc-DEF_1&n=2 200", "exp=1&sig=[hidden]&n=2 200", "abc-DEF"),
        ("https://h/a?token=abc#x", "https://h/a?token=[hidden]#x", "abc"),
        ("Auth(enabled=True, token='abc', x=1)", "token='[hidden]', x=1", "abc"),
        ("redis://user:abc@h:1/0 is down", "redis://user:[hidden]@h:1/0 is down", "abc"),
        ("it was hunter2hunter2!", "it was [hidden]!", "hunter2"),
        ("path /p%40ss%2Fword/x", "path /[hidden]/x", "p%40ss"),
        ("a short story", "a short story", "hunter2"),
    ],
)
def test_text_that_is_shaped_like_a_secret_is_hidden(lines: io.StringIO, text: str, kept: str, hidden: str) -> None:
    structlog.get_logger("x").info(text, detail=text, nested=[{"a": (text, text.encode())}], error=ValueError(text))

    line = lines.getvalue()
    assert line.count(kept) == 5
    assert hidden not in line


def test_secrets_in_tracebacks_are_hidden(lines: io.StringIO) -> None:
    try:
        raise ValueError("cannot log in with hunter2hunter2")
    except ValueError as err:
        structlog.get_logger("x").exception("failed")
        structlog.get_logger("x").error("failed", exc_info=err)
        logging.getLogger("foreign").exception("failed")

    events = _events(lines)
    assert len(events) == 3
    assert all("ValueError: cannot log in with [hidden]" in str(event["exception"]) for event in events)
    assert "hunter2" not in lines.getvalue()


_SECRETS = ("Bearer static-value-1", "tel'em\\etry-2")
_HEADERS = ("x-tenant", "X-Api-Pass", "server")


@pytest.mark.parametrize(
    "text, kept, hidden",
    [
        ("sent static-value-1 up", "sent [hidden] up", "static-value"),
        (f"sent {_SECRETS[1]} up", "sent [hidden] up", "etry-2"),
        (f"sent {_SECRETS[1]!r} up", " up", "etry-2"),
        ("X-Tenant: blue team", "X-Tenant: [hidden]", "blue"),
        ("{'x-api-pass': 'blue', 'a': 'b'}", "'a': 'b'", "blue"),
        ("server: files", "server: files", "hunter2"),
        ("my-x-tenant: files", "my-x-tenant: files", "hunter2"),
        ("GET /upload/a?nonce=abcDEF&expires=2", "?nonce=[hidden]&expires=2", "abcDEF"),
        (f"GET /artifacts/f?expires=2&sig=abcDEF {_JWT}", "&sig=[hidden] [hidden]", "abcDEF"),
    ],
)
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_configured_secrets_are_hidden_everywhere(
    stream: type[io.StringIO], text: str, kept: str, hidden: str
) -> None:
    lines = stream()
    log.configure("info", secrets=_SECRETS, headers=_HEADERS, stream=lines)
    try:
        raise ValueError(text)
    except ValueError:
        structlog.get_logger("x").exception(text, detail=text)
    logging.getLogger("foreign").error("%s", text)

    assert lines.getvalue().count(kept) == 4
    assert hidden not in lines.getvalue()


def test_fields_named_like_a_configured_header_are_hidden_but_never_an_events_own() -> None:
    lines = io.StringIO()
    log.configure("info", headers=_HEADERS, stream=lines)
    structlog.get_logger("x").info("event", server="files", x_tenant="blue", sent={"X-Tenant": "blue", "Server": "s"})

    (event,) = _events(lines)
    assert (event["server"], event["x_tenant"]) == ("files", HIDDEN)
    assert event["sent"] == {"X-Tenant": HIDDEN, "Server": HIDDEN}


_FORGED = 'x\n{"event":"forged"}\r\u2028\u0085\x1b[31m\u202e\ud800'


def test_no_line_can_be_forged_in_json(lines: io.StringIO) -> None:
    structlog.get_logger("x").info(_FORGED, field=_FORGED, **{"na\nme": 1})

    text = lines.getvalue()
    assert len(text.splitlines()) == 1
    assert text.removesuffix("\n").isprintable()
    assert str(_events(lines)[0]["event"]).startswith('x\n{"event":"forged"}')


def test_no_line_can_be_forged_on_a_terminal() -> None:
    stream = Terminal()
    log.configure("info", secrets=["hunter2hunter2"], stream=stream)
    logger = structlog.get_logger("x")

    logger.info(_FORGED, field=_FORGED, many={_FORGED: _FORGED})
    try:
        raise ValueError(f"hunter2hunter2 {_FORGED}")
    except ValueError:
        logger.exception("failed")

    first, second, *traceback = stream.getvalue().splitlines()
    assert ("forged" in first, "failed" in second) == (True, True)
    assert all(line.startswith("    ") for line in traceback)
    assert "hunter2" not in stream.getvalue()


class Broken:
    """A value that cannot be rendered."""

    def __str__(self) -> str:
        raise TypeError("hunter2hunter2")


def test_an_event_that_cannot_be_rendered_leaves_a_mark(lines: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("x").info("event", value=Broken(), other="hunter2hunter2")

    assert _events(lines) == [{"event": "log_event_lost", "logger": "x"}]
    assert capsys.readouterr().err == ""


@given(secret=st.text(min_size=6), before=st.text(), after=st.text())
def test_a_known_secret_never_stays_in_a_text(secret: str, before: str, after: str) -> None:
    shown = Redactor([secret]).text(before + secret + after)

    assert secret not in shown.replace(HIDDEN, "")


@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
))
def test_any_value_becomes_plain_data(value: object) -> None:
    line = escape(msgspec.json.encode(Redactor().value(value)).decode())

    assert len(line.splitlines()) <= 1
    msgspec.json.decode(line)


def test_long_texts_and_deep_values_are_cut() -> None:
    deep: list[object] = []
    for _ in range(1000):
        deep = [deep]

    assert len(str(Redactor().value("x" * 100_000))) < 10_000
    assert len(str(Redactor().value(deep))) < 10_000


def test_secrets_of_a_tasks_caller_are_hidden_in_its_log_lines(lines: io.StringIO) -> None:
    def within() -> None:
        log.hide_in_task("Token a-callers-own", "b/callers own")
        try:
            raise ValueError("sent b/callers own")
        except ValueError:
            structlog.get_logger("x").exception("broke", detail="with a-callers-own", url="/?q=b%2Fcallers%20own")
        logging.getLogger("foreign").warning("took %s", "a-callers-own")

    copy_context().run(within)
    structlog.get_logger("x").info("of another", detail="a-callers-own")

    inside, outside = lines.getvalue().splitlines()[:2], lines.getvalue().splitlines()[2:]
    assert not re.search(r"a-callers-own|b/callers|b%2Fcallers", "".join(inside))
    assert "broke" in inside[0]
    assert "a-callers-own" in outside[0]
