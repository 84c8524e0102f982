"""Value types: parsing, normalisation and refusal of text."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.shared.config.text_types import (
    Credential,
    DottedPath,
    HeaderName,
    HostName,
    HttpUrl,
    KeyPrefix,
    RedisUrl,
    RegularExpression,
    ServerId,
    Text,
    UriScheme,
    UrlPath,
)
from longshore.shared.config.value_types import (
    MAX_SIZE,
    Boolean,
    ByteSize,
    Choice,
    FileMode,
    Integer,
    InvalidValue,
    IpNetwork,
    Ratio,
    ScalarType,
    parse_size,
)

_UNITS = {
    "": 1, "b": 1, "K": 1000, "kb": 1000, "M": 10**6, "gB": 10**9, "T": 10**12,
    "Ki": 1024, "kib": 1024, "MI": 1024**2, "GiB": 1024**3, "ti": 1024**4,
}


@given(number=st.integers(0, 9000), unit=st.sampled_from(sorted(_UNITS)), gap=st.sampled_from(["", " "]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str, gap: str) -> None:
    assert parse_size(f"{number}{gap}{unit}") == number * _UNITS[unit]


@given(text=st.text(max_size=12))
def test_any_text_is_a_size_or_an_invalid_value(text: str) -> None:
    try:
        size = parse_size(text)
    except InvalidValue:
        return
    assert size >= 0


@pytest.mark.parametrize("text", ["", "-1", "1X", "Mi", "1i", "1 0", "1.5", "0.0001Ki", "1e3", "1KiBB", "٣", "1_000"])
def test_text_that_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_size(text)


def test_a_fraction_is_accepted_if_it_is_a_whole_number_of_bytes() -> None:
    assert (parse_size("1.5Ki"), parse_size("0.5MB")) == (1536, 500_000)


@pytest.mark.parametrize(
    "value_type, text, value",
    [
        (Integer(), " 12 ", 12),
        (Integer(), "1_000", 1000),
        (Integer(least=1, most=65535), "65535", 65535),
        (Boolean(), "Yes", True),
        (Boolean(), "off", False),
        (Choice(options=("a", "b")), "b ", "b"),
        (Choice(options=("info",), any_case=True), " INFO ", "info"),
        (ByteSize(), str(MAX_SIZE), MAX_SIZE),
        (Ratio(), "0.25", 0.25),
        (FileMode(required=0o700), "0770", 0o770),
        (FileMode(required=0o700), "0o770", 0o770),
        (FileMode(required=0o700), "2770", 0o2770),
        (IpNetwork(), "10.1.2.3", ip_network("10.1.2.3/32")),
        (IpNetwork(), "fd00::/8", ip_network("fd00::/8")),
        (Text(), " a b ", "a b"),
        (Text(trim=False), " a ", " a "),
        (Credential(), "tok en", "tok en"),
        (HeaderName(), "X-Api-Key", "X-Api-Key"),
        (HeaderName(any_header=True), "Host", "Host"),
        (UriScheme(), "UPLOAD://", "upload://"),
        (UrlPath(), "mcp/a/", "/mcp/a"),
        (UrlPath(), "/mcp/a", "/mcp/a"),
        (ServerId(), " play wright ", "play wright"),
        (KeyPrefix(), "team:longshore", "team:longshore"),
        (HostName(), "redis.internal", "redis.internal"),
        (HostName(), "[::1]", "::1"),
        (DottedPath(), "options.path", "options.path"),
        (RegularExpression(), "saved to (.+)$", "saved to (.+)$"),
        (HttpUrl(), "https://u:p@h:1/mcp?x=1", "https://u:p@h:1/mcp?x=1"),
        (HttpUrl(base=True), "https://files.example/base/", "https://files.example/base"),
        (RedisUrl(), "rediss://:p%40ss@h:6380/2", "rediss://:p%40ss@h:6380/2"),
        (RedisUrl(), "unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ],
)
def test_a_value_is_normalised(value_type: ScalarType, text: str, value: object) -> None:
    assert value_type.read(text) == value


@pytest.mark.parametrize(
    "value_type, text",
    [
        (Integer(least=1), "0"),
        (Integer(), "-1"),
        (Integer(), "1.0"),
        (Integer(), "010"),
        (Integer(), "9" * 30),
        (Integer(), "9" * 5000),
        (Integer(), "٣"),
        (Boolean(), "maybe"),
        (Boolean(), "2"),
        (Choice(options=("a", "b")), "A"),
        (ByteSize(least=1), "0"),
        (ByteSize(), str(MAX_SIZE + 1)),
        (Ratio(), "1.01"),
        (Ratio(), "nan"),
        (FileMode(required=0o700), "0570"),
        (FileMode(required=0o600), "0880"),
        (FileMode(required=0o600), "504000"),
        (IpNetwork(), "10.0.0.1/8"),
        (IpNetwork(), "everyone"),
        (Text(), "  "),
        (Text(), "a\nb"),
        (Text(), "a\udcff"),
        (Credential(), "tökén"),
        (Credential(), " token"),
        (HeaderName(), "X Api"),
        (HeaderName(), "x:y"),
        (HeaderName(), "mcp-session-id"),
        (HeaderName(), "Transfer-Encoding"),
        (UriScheme(), "upload:"),
        (UriScheme(), "://"),
        (UriScheme(), "1up://"),
        (UrlPath(), "/"),
        (UrlPath(), "//"),
        (UrlPath(), "/a/../b"),
        (UrlPath(), "/a//b"),
        (UrlPath(), "/{name}"),
        (UrlPath(), "/a?b"),
        (ServerId(), "a/b"),
        (ServerId(), ".."),
        (KeyPrefix(), "a*"),
        (KeyPrefix(), "{slot}"),
        (HostName(), "redis://h"),
        (HostName(), "h:6379"),
        (DottedPath(), "a..b"),
        (DottedPath(), ".a"),
        (RegularExpression(), "(a"),
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
def test_invalid_text_is_refused_without_being_repeated(value_type: ScalarType, text: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        value_type.read(text)

    assert len(text) < 8 or text not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "null", "~", " "])
def test_a_variable_may_contain_null_in_a_nullable_key(text: str) -> None:
    assert Integer(nullable=True).means_null(text)
    assert not Text(nullable=True).means_null("null")
