"""Media types from content, name and declaration."""

import mimetypes

import puremagic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from puremagic import main as signatures

from longshore.shared.storage.media_types import extension_for, sniff

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32
ZIP = b"PK\x03\x04" + b"\0" * 64
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    "head, name, declared, media_type",
    [
        (PNG, "picture", "", "image/png"),
        (PNG, "picture.pdf", "text/html", "image/png"),  # content wins over what was claimed
        (b"%PDF-1.7\n", "x.txt", "", "application/pdf"),
        (b"GIF89a" + b"\0" * 16, "x", "", "image/gif"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "x", "", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "x", "", "image/webp"),
        (b"\x1f\x8b\x08\0\0", "x.tar.gz", "", "application/gzip"),
        (ZIP, "letter.docx", "", DOCX),
        (ZIP, "x.zip", "", "application/zip"),
        (ZIP, "x", "", "application/zip"),
        (b"<!DOCTYPE html><html>", "x", "", "text/html"),
        (b"<?xml version='1.0'?><svg", "x.svg", "", "image/svg+xml"),
        (b"BM is how this text begins", "notes.txt", "", "text/plain"),
        (b"BM is how this text begins", "notes", "", "text/plain"),
        (b"import this is a story", "story.txt", "", "text/plain"),
        (b'{"a":1}', "x.json", "", "application/json"),
        (b"# Title", "x.md", "", "text/markdown"),
        (b"a,b\n1,2\n", "x.CSV", "", "text/csv"),
        (b"plain", "x", "application/x-thing; charset=utf-8", "application/x-thing"),
        (b"plain", "x", "application/octet-stream", "text/plain"),
        (b"plain", "x", "text/<script>", "text/plain"),
        (b"plain", "x", "nonsense", "text/plain"),
        ("grüße".encode()[:4], "x", "", "text/plain"),  # cut inside a character
        (b"\0\1\2", "x", "", "application/octet-stream"),
        (b"\xff\xfe\xfa", "x", "", "application/octet-stream"),
        (b"", "x", "", "text/plain"),
        (b"", "x.csv", "", "text/csv"),
    ],
)
def test_content_then_name_then_declaration_decide(head: bytes, name: str, declared: str, media_type: str) -> None:
    assert sniff(head, name, declared) == media_type


@given(st.binary(max_size=64), st.text(max_size=20), st.text(max_size=40))
def test_every_input_gives_a_valid_content_type(head: bytes, name: str, declared: str) -> None:
    media_type = sniff(head, name, declared)

    assert media_type.isascii()
    assert media_type.isprintable()
    assert media_type.count("/") == 1
    assert " " not in media_type


@pytest.mark.parametrize(
    "media_type, extension",
    [
        ("image/png", ".png"), ("image/jpeg", ".jpg"), ("application/pdf", ".pdf"), ("text/plain", ".txt"),
        ("text/markdown", ".md"), ("application/json", ".json"), ("text/csv", ".csv"), (DOCX, ".docx"),
        ("application/gzip", ".gz"), ("video/mp4", ".mp4"), ("application/x-never-heard-of", ""),
    ],
)
def test_the_usual_extension_is_found(media_type: str, extension: str) -> None:
    assert extension_for(media_type) == extension


def test_the_tables_of_the_host_are_not_used() -> None:
    mimetypes.add_type("application/x-host", ".md")
    try:
        assert sniff(b"text", "x.md") == "text/markdown"
    finally:
        mimetypes.init()


def test_no_signature_is_overlooked() -> None:
    """Every signature of the library at the start or end of a file leads to a lookup."""
    for row in (*signatures.magic_header_array, *signatures.magic_footer_array):
        head = b"\1" * max(row.offset, 0) + row.byte_match
        try:
            told = puremagic.magic_string(head)[0]
        except (puremagic.PureError, IndexError):  # the second is how newer versions say that they do not know
            continue                     # it looks at the end from another place
        if len(told.byte_match) > 4 and told.mime_type and not told.mime_type.startswith(("text/", "application/json")):
            assert sniff(head, "x") != "text/plain", (row, told)
            assert sniff(head, "x", "x/declared") != "x/declared", (row, told)
