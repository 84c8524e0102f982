"""Candidate paths in a tool result."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.gateway.files import candidates, embedded
from longshore.gateway.files.candidates import ToolResult
from longshore.gateway.wire.protocol_errors import ArtifactMissing
from longshore.shared.clock import monotonic_s
from longshore.shared.config import OutputLocator

_BUILT_IN = OutputLocator(mode="regex")


def _said(**result: Any) -> ToolResult:
    return ToolResult.decode(msgspec.json.encode(result))


def _in_text(*texts: str, locator: OutputLocator = _BUILT_IN) -> list[str]:
    return candidates.by_locator(_said(content=[{"type": "text", "text": text} for text in texts]), locator)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Saved to /data/out/page.png", ["/data/out/page.png"]),
        ("Saved to /data/out/page.png.", ["/data/out/page.png"]),
        ("Saved to /data/out/page.png, then left.", ["/data/out/page.png"]),
        ("path=/data/a.tar.gz;", ["/data/a.tar.gz"]),
        ("file:/data/a.bin", ["/data/a.bin"]),
        ("(/data/a.pdf)", ["/data/a.pdf"]),
        ("**/data/a.pdf**", ["/data/a.pdf"]),
        ("- /data/a.pdf\n- /data/b.pdf\r\n", ["/data/a.pdf", "/data/b.pdf"]),
        ("### Result\n[Screenshot of viewport](/data/page 1.png)\n", ["/data/page 1.png"]),
        ("![x](/data/a.png \"title\")", ["/data/a.png"]),
        ("<img src='/data/a b.png'>", ["/data/a b.png"]),
        ("wrote `/data/mein Bericht ü.txt`", ["/data/mein Bericht ü.txt"]),
        ('{"path":"/data/a b.json","n":1}', ["/data/a b.json"]),
        ("file:///data/a%20b.png", ["/data/a b.png"]),
        ("see file:///data/%C3%BC.png.", ["/data/ü.png"]),
        ("[a](file:///data/a%20b.png)", ["/data/a b.png"]),
        ('"file:///data/a%20b.png"', ["/data/a b.png"]),
        ("file://localhost/data/a.png", ["/data/a.png"]),
        ("/data/100%.txt", ["/data/100%.txt"]),
        ("await page.screenshot({ path: '/data/x.png' });\nSaved /data/y.png", ["/data/x.png", "/data/y.png"]),
        ("twice /data/a.png and \"/data/a.png\"", ["/data/a.png"]),
        ("/data/.hidden/a.txt", ["/data/.hidden/a.txt"]),
        ("/data/archive.backup-2024/x.txt", ["/data/archive.backup-2024/x.txt"]),
        # No paths of this host:
        ("https://example.org/a/b.png", []),
        ("see http://[::1]/b.png", []),
        ("a/b.png and ./c.png", []),
        ("/data/folder/", []),
        ("and/or", []),
        ("1/2.5", []),
        ("file://[x/a.png", []),
        ("C:\\data\\a.png", []),
        ("no.verylongextensionindeed /x.verylongextensionindeed", []),
        ("", []),
    ],
)
def test_paths_in_what_tools_write(text: str, expected: list[str]) -> None:
    assert _in_text(text) == expected


def test_the_most_telling_form_comes_first() -> None:
    assert _in_text("/data/bare.png \"/data/quoted.png\" [x](/data/linked.png)") == [
        "/data/linked.png", "/data/quoted.png", "/data/bare.png",
    ]


def test_every_text_block_is_searched_and_no_other() -> None:
    said = _said(content=[
        {"type": "text", "text": "/data/a.png"}, {"type": "image", "data": "/data/b.png", "mimeType": "image/png"},
        {"type": "text", "text": "/data/c.png"},
    ])

    assert candidates.by_locator(said, _BUILT_IN) == ["/data/a.png", "/data/c.png"]


def test_twenty_paths_are_enough() -> None:
    assert len(_in_text(" ".join(f"/data/{n}.png" for n in range(100)))) == 20


@given(st.text(alphabet="/file:. \"'`()[]\n%2aß\0", max_size=40))
def test_any_text_gives_absolute_paths(text: str) -> None:
    assert all(path.startswith("/") for path in _in_text(text))


@pytest.mark.parametrize("unit", [":/", "](/a", '"/a', "=/a.", "file://", "/a.b", " /", "](file://", '"file://a'])
def test_no_text_takes_long(unit: str) -> None:
    """Quadratic time would be minutes here."""
    started_s = monotonic_s()

    _in_text(unit * (300_000 // len(unit)))

    assert monotonic_s() - started_s < 5


@pytest.mark.parametrize(
    "expressions, text, expected",
    [
        ((r"wrote (\S+)",), "wrote /data/a now", ["/data/a"]),
        ((r"/data/\w+",), "wrote /data/a now", ["/data/a"]),
        ((r"A=(\S+)", r"B=(\S+)"), "B=/b A=/a A=/c", ["/a", "/c"]),
        ((r"at (file://\S+)",), "at file:///a%20b", ["/a b"]),
        ((r"x(/a)?",), "x", []),
        ((r"()",), "x", []),
        ((r"never",), "/data/a.png", []),
    ],
)
def test_configured_expressions(expressions: tuple[str, ...], text: str, expected: list[str]) -> None:
    assert _in_text(text, locator=OutputLocator(mode="regex", output_path_regexes=expressions)) == expected


@pytest.mark.parametrize(
    "key, structured, expected",
    [
        ("path", {"path": "/data/a.png"}, ["/data/a.png"]),
        ("a.b.path", {"a": {"b": {"path": "/x"}}}, ["/x"]),
        ("files", {"files": ["/a", 7, None, "", "/b"]}, ["/a", "/b"]),
        ("files.1", {"files": ["/a", "/b"]}, ["/b"]),
        ("files.path", {"files": [{"path": "/a"}, {}, 7, {"path": "/b"}, {"path": ["/c"]}, {"path": "/a"}]},
         ["/a", "/b", "/c"]),
        ("files.99999999999999999999", {"files": ["/a"]}, []),
        ("files.1.path", {"files": [{}, {"path": "/b"}]}, ["/b"]),
        ("path", {"path": "file:///a%20b"}, ["/a b"]),
        ("path", {"path": "file://[x/a"}, []),
        ("path", {"path": {"deeper": "/x"}}, []),
        ("path", {}, []),
        ("path", None, []),
        ("path", [], []),
        ("path", "text", []),
        ("files.9", {"files": []}, []),
        ("files.²", {"files": ["/a"]}, []),
        (None, {"path": "/a"}, []),
    ],
)
def test_structured_keys(key: str | None, structured: Any, expected: list[str]) -> None:
    locator = OutputLocator(mode="structured", output_path_key=key)

    assert candidates.by_locator(_said(structuredContent=structured), locator) == expected


@pytest.mark.parametrize("mode", ["none", "embedded"])
def test_other_modes_read_no_paths(mode: Any) -> None:
    assert _in_text("/data/a.png", locator=OutputLocator(mode=mode)) == []


def test_embedded_files_come_in_order() -> None:
    said = _said(content=[
        {"type": "text", "text": "here"},
        {"type": "image", "data": "aGk=", "mimeType": "image/png"},
        {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"},
        {"type": "resource", "resource": {"uri": "file:///a/b%20c.bin", "blob": "aGk=", "mimeType": "x/y"}},
        {"type": "resource", "resource": {"uri": "memo://n/t.txt", "text": "hü"}},
        {"type": "resource_link", "uri": "file:///a", "name": "a"},
    ])

    found = embedded.embedded_files(said.blocks)

    assert [(part.media_type, part.name) for part in found] == [
        ("image/png", ""), ("audio/wav", ""), ("x/y", "b c.bin"), ("text/plain", "t.txt"),
    ]
    assert [part.decode() for part in found] == [b"hi", b"hi", b"hi", "hü".encode()]


@pytest.mark.parametrize("data", ["a", "a===", "aGk=\n!", "ü"])
def test_broken_base64_is_an_error(data: str) -> None:
    (part,) = embedded.embedded_files(_said(content=[{"type": "image", "data": data}]).blocks)

    with pytest.raises(ArtifactMissing, match="base64"):
        part.decode()


@pytest.mark.parametrize(
    "block",
    [
        {}, None, 7, [], {"type": 7}, {"type": "image"}, {"type": "image", "data": 7}, {"type": "resource"},
        {"type": "resource", "resource": []}, {"type": "resource", "resource": {"uri": 7, "blob": "aGk="}},
        {"type": "resource", "resource": {"uri": "x://y"}}, {"type": "text", "text": {"a": 1}},
        {"type": "custom", "data": {"path": "/data/b.png"}},
    ],
)
def test_a_block_of_another_shape_keeps_nothing_else_from_being_read(block: Any) -> None:
    said = _said(content=[block, {"type": "text", "text": "/data/a.png"}], isError=True)

    assert embedded.embedded_files(said.blocks) == []
    assert candidates.by_locator(said, _BUILT_IN) == ["/data/a.png"]
    assert said.is_error


def test_a_uri_that_is_none_costs_the_name_alone() -> None:
    said = _said(content=[{"type": "resource", "resource": {"uri": "http://[x", "blob": "aGk="}}])

    (part,) = embedded.embedded_files(said.blocks)

    assert (part.name, part.decode()) == ("", b"hi")


@pytest.mark.parametrize(
    "result",
    [
        b"null", b"[]", b"7", b'"text"', b"{}", b'{"content":null}', b'{"content":{}}', b'{"content":"x"}',
        b'{"content":[{"type":"text","text":"\xff"}]}', b'{"isError":"yes"}', b'{"isError":1}',
        b'{"structuredContent":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b"", b"{",
    ],
)
def test_hostile_results_hold_no_file(result: bytes) -> None:
    said = ToolResult.decode(result)

    assert (said.blocks, said.is_error) == ([], False)
    assert candidates.by_locator(said, OutputLocator(mode="structured", output_path_key="path")) == []


def test_paths_anywhere_in_structured_content_come_where_the_locator_s_lead_to_nothing() -> None:
    said = _said(structuredContent={"n": [1, {"deep": "/a"}], "url": "https://x/y.png", "path": "/b", "f": "file:///c"})

    assert candidates.other_paths(said, OutputLocator(mode="structured", output_path_key="path")) == ["/a", "/b", "/c"]
    assert candidates.other_paths(said, OutputLocator(mode="none")) == []


def test_later_expressions_are_for_where_the_first_that_matches_leads_to_nothing() -> None:
    locator = OutputLocator(mode="regex", output_path_regexes=("never", r"A=(\S+)", r"B=(\S+)"))
    said = _said(content=[{"type": "text", "text": "B=/b A=/a"}], structuredContent={"c": "/c"})

    assert candidates.by_locator(said, locator) == ["/a"]
    assert candidates.other_paths(said, locator) == ["/b", "/c"]


def test_deep_and_wide_structured_content_is_searched_within_bounds() -> None:
    deep: Any = "/late"
    for _ in range(300):
        deep = [deep]
    said = _said(structuredContent={"many": ["x"] * 20_000, "late": "/late"})

    assert candidates.other_paths(said, OutputLocator(mode="structured")) == []
    said = _said(structuredContent={"deep": deep})
    assert candidates.other_paths(said, OutputLocator(mode="structured")) == ["/late"]


def test_paths_of_our_layout_lead_below_our_root() -> None:
    ours = "/artifacts/sessions/s/i/n.png"

    assert candidates.in_our_layout(f"/mnt/a{ours}", "/data") == f"/data{ours}"
    assert candidates.in_our_layout("/etc/passwd", "/data") == "/etc/passwd"
