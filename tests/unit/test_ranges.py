"""Ranges of RFC 9110 §14, and names in `Content-Disposition` (RFC 6266)."""

from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from multidict import CIMultiDict

from longshore.gateway.http.downloads.artifacts import content_disposition
from longshore.gateway.http.downloads.ranges import ByteRange, requested_range
from tests.fixtures.storage import artifact_record

_ETAG = '"abc"'
_WHOLE = ByteRange(0, 1000, partial=False)


def _span(size_bytes: int = 1000, **headers: str) -> ByteRange | None:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return requested_range(named, size_bytes=size_bytes, etag=_ETAG)


@pytest.mark.parametrize(
    "header, expected",
    [
        ("bytes=0-499", ByteRange(0, 500, partial=True)),
        ("bytes=500-999", ByteRange(500, 1000, partial=True)),
        ("bytes=0-0", ByteRange(0, 1, partial=True)),
        ("bytes=999-", ByteRange(999, 1000, partial=True)),
        ("bytes=0-", ByteRange(0, 1000, partial=True)),
        ("bytes=-500", ByteRange(500, 1000, partial=True)),
        ("bytes=-1", ByteRange(999, 1000, partial=True)),
        ("bytes=-5000", ByteRange(0, 1000, partial=True)),
        ("bytes=900-5000", ByteRange(900, 1000, partial=True)),
        ("bytes=0-999999999999999999", ByteRange(0, 1000, partial=True)),
        ("Bytes=0-9", ByteRange(0, 10, partial=True)),
        # Outside the file:
        ("bytes=1000-", None),
        ("bytes=1000-2000", None),
        ("bytes=-0", None),
        # Malformed, several or of another unit: as if it were not there.
        ("bytes=", _WHOLE), ("bytes=-", _WHOLE), ("bytes=5-2", _WHOLE), ("bytes=a-b", _WHOLE), ("bytes=--5", _WHOLE),
        ("bytes=0-1,5-6", _WHOLE), ("items=0-5", _WHOLE), ("0-5", _WHOLE), ("bytes=0-5x", _WHOLE), ("", _WHOLE),
        ("bytes=\u0661-\u0665", _WHOLE), ("bytes=" + "9" * 100 + "-", _WHOLE), ("bytes=0-5\n", _WHOLE),
    ],
)
def test_ranges(header: str, expected: ByteRange | None) -> None:
    assert _span(Range=header) == expected


def test_no_range_is_the_whole_file() -> None:
    assert _span() == _WHOLE


@pytest.mark.parametrize(
    "header, expected",
    [("bytes=0-0", None), ("bytes=0-", None), ("bytes=-5", ByteRange(0, 0, False)), ("bytes=-0", None)],
)
def test_ranges_of_an_empty_file(header: str, expected: ByteRange | None) -> None:
    assert _span(0, Range=header) == expected


@pytest.mark.parametrize(
    "condition, is_partial",
    [
        (_ETAG, True), ('"other"', False), ("W/" + _ETAG, False), ("abc", False), ("", False),
        ("Sat, 29 Oct 1994 19:43:31 GMT", False),
    ],
)
def test_a_range_holds_only_for_the_version_that_it_names(condition: str, is_partial: bool) -> None:
    span = _span(Range="bytes=0-9", If_Range=condition)

    assert span is not None
    assert span.partial is is_partial


@given(st.integers(0, 50), st.integers(0, 60) | st.none(), st.integers(0, 60) | st.none())
def test_any_range_is_what_slicing_says(size: int, first: int | None, last: int | None) -> None:
    content = bytes(range(size))
    span = _span(size, Range=f"bytes={'' if first is None else first}-{'' if last is None else last}")

    found = None if span is None else content[span.start:span.end]
    if (first is not None and last is not None and last < first) or (first is None and last is None):
        assert found == content
    elif first is not None:
        assert found == (content[first:None if last is None else last + 1] or None)
    else:
        assert found == (content[-last:] if last else None)


@pytest.mark.parametrize(
    "media_type, kind",
    [
        ("image/png", "inline"), ("application/pdf", "inline"), ("text/plain", "inline"),
        ("text/html", "attachment"), ("image/svg+xml", "attachment"), ("application/xhtml+xml", "attachment"),
        ("application/octet-stream", "attachment"), ("text/javascript", "attachment"), ("", "attachment"),
    ],
)
def test_only_what_cannot_run_is_shown_in_place(media_type: str, kind: str) -> None:
    record = replace(artifact_record("S" * 32), media_type=media_type)

    assert content_disposition(record).startswith(f"{kind}; filename=")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_arrives_and_none_breaks_the_header(name: str) -> None:
    header = content_disposition(replace(artifact_record("S" * 32), name=name))

    assert header.isascii()
    assert header.isprintable()
    assert unquote(header.rpartition("''")[2]) == name
    parsed = Message()
    parsed["Content-Disposition"] = header.partition("; filename*")[0]
    assert len(parsed.get_params(header="Content-Disposition") or []) == 2
