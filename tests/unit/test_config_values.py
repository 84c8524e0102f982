"""Kinds of value: what each takes, what it makes of it, what it refuses."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.config.kinds import (
    MAX_SIZE,
    BadValue,
    Choice,
    Mode,
    Network,
    Ratio,
    Single,
    Size,
    Switch,
    Whole,
    parse_size,
)
from longshore.shared.config.words import (
    Credential,
    Dotted,
    Expression,
    HeaderName,
    Host,
    HttpUrl,
    KeyBase,
    RedisUrl,
    Route,
    Scheme,
    ServerId,
    Text,
)

_UNITS = {
    "": 1, "b": 1, "K": 1000, "kb": 1000, "M": 10**6, "gB": 10**9, "T": 10**12,
    "Ki": 1024, "kib": 1024, "MI": 1024**2, "GiB": 1024**3, "ti": 1024**4,
}


@given(number=st.integers(0, 9000), unit=st.sampled_from(sorted(_UNITS)), gap=st.sampled_from(["", " "]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str, gap: str) -> None:
    assert parse_size(f"{number}{gap}{unit}") == number * _UNITS[unit]


@given(text=st.text(max_size=12))
def test_any_text_is_a_size_or_a_bad_value(text: str) -> None:
    try:
        size = parse_size(text)
    except BadValue:
        return
    assert size >= 0


@pytest.mark.parametrize("text", ["", "-1", "1X", "Mi", "1i", "1 0", "1.5", "0.0001Ki", "1e3", "1KiBB", "٣", "1_000"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(BadValue):
        parse_size(text)


def test_a_fraction_counts_where_it_is_a_whole_number_of_bytes() -> None:
    assert (parse_size("1.5Ki"), parse_size("0.5MB")) == (1536, 500_000)


@pytest.mark.parametrize(
    "kind, text, value",
    [
        (Whole(), " 12 ", 12),
        (Whole(), "1_000", 1000),
        (Whole(least=1, most=65535), "65535", 65535),
        (Switch(), "Yes", True),
        (Switch(), "off", False),
        (Choice(words=("a", "b")), "b ", "b"),
        (Choice(words=("info",), any_case=True), " INFO ", "info"),
        (Size(), str(MAX_SIZE), MAX_SIZE),
        (Ratio(), "0.25", 0.25),
        (Mode(needs=0o700), "0770", 0o770),
        (Mode(needs=0o700), "0o770", 0o770),
        (Mode(needs=0o700), "2770", 0o2770),
        (Network(), "10.1.2.3", ip_network("10.1.2.3/32")),
        (Network(), "fd00::/8", ip_network("fd00::/8")),
        (Text(), " a b ", "a b"),
        (Text(trim=False), " a ", " a "),
        (Credential(), "tok en", "tok en"),
        (HeaderName(), "X-Api-Key", "X-Api-Key"),
        (HeaderName(free=True), "Host", "Host"),
        (Scheme(), "UPLOAD://", "upload://"),
        (Route(), "mcp/a/", "/mcp/a"),
        (Route(), "/mcp/a", "/mcp/a"),
        (ServerId(), " play wright ", "play wright"),
        (KeyBase(), "team:longshore", "team:longshore"),
        (Host(), "redis.internal", "redis.internal"),
        (Host(), "[::1]", "::1"),
        (Dotted(), "options.path", "options.path"),
        (Expression(), "saved to (.+)$", "saved to (.+)$"),
        (HttpUrl(), "https://u:p@h:1/mcp?x=1", "https://u:p@h:1/mcp?x=1"),
        (HttpUrl(base=True), "https://files.example/base/", "https://files.example/base"),
        (RedisUrl(), "rediss://:p%40ss@h:6380/2", "rediss://:p%40ss@h:6380/2"),
        (RedisUrl(), "unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ],
)
def test_a_value_is_brought_into_its_one_form(kind: Single, text: str, value: object) -> None:
    assert kind.read(text) == value


@pytest.mark.parametrize(
    "kind, text",
    [
        (Whole(least=1), "0"),
        (Whole(), "-1"),
        (Whole(), "1.0"),
        (Whole(), "010"),
        (Whole(), "9" * 30),
        (Whole(), "9" * 5000),
        (Whole(), "٣"),
        (Switch(), "maybe"),
        (Switch(), "2"),
        (Choice(words=("a", "b")), "A"),
        (Size(least=1), "0"),
        (Size(), str(MAX_SIZE + 1)),
        (Ratio(), "1.01"),
        (Ratio(), "nan"),
        (Mode(needs=0o700), "0570"),
        (Mode(needs=0o600), "0880"),
        (Mode(needs=0o600), "504000"),
        (Network(), "10.0.0.1/8"),
        (Network(), "everyone"),
        (Text(), "  "),
        (Text(), "a\nb"),
        (Text(), "a\udcff"),
        (Credential(), "tökén"),
        (Credential(), " token"),
        (HeaderName(), "X Api"),
        (HeaderName(), "x:y"),
        (HeaderName(), "mcp-session-id"),
        (HeaderName(), "Transfer-Encoding"),
        (Scheme(), "upload:"),
        (Scheme(), "://"),
        (Scheme(), "1up://"),
        (Route(), "/"),
        (Route(), "//"),
        (Route(), "/a/../b"),
        (Route(), "/a//b"),
        (Route(), "/{name}"),
        (Route(), "/a?b"),
        (ServerId(), "a/b"),
        (ServerId(), ".."),
        (KeyBase(), "a*"),
        (KeyBase(), "{slot}"),
        (Host(), "redis://h"),
        (Host(), "h:6379"),
        (Dotted(), "a..b"),
        (Dotted(), ".a"),
        (Expression(), "(a"),
        (HttpUrl(), "ftp://h"),
        (HttpUrl(), "http://"),
        (HttpUrl(), "http://h:port/"),
        (HttpUrl(), "http://h/a b"),
        (HttpUrl(), "http://[::1"),
        (HttpUrl(base=True), "http://h/?a=1"),
        (RedisUrl(), "http://h"),
        (RedisUrl(), "redis://h/zero"),
        (RedisUrl(), "unix://socket"),
    ],
)
def test_what_does_not_fit_is_refused_without_being_repeated(kind: Single, text: str) -> None:
    with pytest.raises(BadValue) as refusal:
        kind.read(text)

    assert len(text) < 8 or text not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "null", "~", " "])
def test_null_may_come_from_a_variable_where_null_is_taken(text: str) -> None:
    assert Whole(nullable=True).means_null(text)
    assert not Text(nullable=True).means_null("null")
