"""Artifacts in tool results: added to the tool's own content."""

import dataclasses
from base64 import b64decode
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from longshore.gateway.files import results
from longshore.gateway.files.results import Presentation
from longshore.gateway.wire import jsonrpc
from longshore.shared.errors import UpstreamDown
from longshore.shared.records import ArtifactRecord
from tests.fixtures.storage import artifact_record

_URI = "artifact://sessions/S/A/a.png"
_SHOWN = Presentation(uri=_URI, download_url=None, is_resource=True, has_links=True, raw=None)
_RECORD = artifact_record("S" * 32)


def _attached(
    result: dict[str, Any] | bytes, shown: Presentation = _SHOWN, record: ArtifactRecord = _RECORD
) -> dict[str, Any]:
    opened = jsonrpc.open_object(result if isinstance(result, bytes) else msgspec.json.encode(result))
    results.attach_artifacts(opened, [(record, shown)])
    decoded: dict[str, Any] = msgspec.json.decode(jsonrpc.close_object(opened))
    return decoded


def test_the_metadata_has_the_fields_that_clients_rely_on() -> None:
    assert _attached({"content": []})["_meta"]["artifact"] == {
        "artifact_uri": _URI, "artifact_id": _RECORD.id, "filename": "a.png", "mime_type": "image/png",
        "size_bytes": 100, "expose_as_resource": True,
    }


def test_a_download_link_is_metadata_and_text() -> None:
    url = "https://gateway.example/artifacts/x"

    result = _attached({"content": []}, dataclasses.replace(_SHOWN, download_url=url))

    assert result["_meta"]["artifact"]["download_url"] == url
    assert [block for block in result["content"] if block["type"] == "text" and url in block["text"]]


def test_all_that_the_tool_said_stays() -> None:
    said = {
        "content": [{"type": "text", "text": "done", "annotations": {"priority": 1}}], "structuredContent": {"a": [1]},
        "_meta": {"theirs": 1}, "isError": False, "extension": None,
    }

    result = _attached(said)

    assert result["content"][0] == said["content"][0]  # type: ignore[index]
    assert result["_meta"]["theirs"] == 1
    assert {key: result[key] for key in ("structuredContent", "isError", "extension")} == {
        key: said[key] for key in ("structuredContent", "isError", "extension")
    }


def test_a_resource_link_is_a_standard_one() -> None:
    (block,) = _attached({"content": []})["content"]

    assert {key: block[key] for key in ("type", "uri", "name", "mimeType", "size")} == {
        "type": "resource_link", "uri": _URI, "name": "a.png", "mimeType": "image/png", "size": 100,
    }


@pytest.mark.parametrize("is_resource, has_links", [(False, True), (True, False), (False, False)])
def test_there_is_no_resource_link_where_it_would_not_be_understood(is_resource: bool, has_links: bool) -> None:
    shown = dataclasses.replace(_SHOWN, is_resource=is_resource, has_links=has_links)

    result = _attached({"content": []}, shown)

    assert result["content"] == []
    assert result["_meta"]["artifact"]["artifact_uri"] == _URI


@pytest.mark.parametrize(
    "media_type, is_utf8, data, kind, field",
    [
        ("image/png", False, b"\x89PNG", "image", "data"),
        ("audio/wav", False, b"RIFF", "audio", "data"),
        ("application/pdf", False, b"%PDF", "resource", "blob"),
        ("application/octet-stream", True, b"ascii", "resource", "blob"),
        ("text/csv", True, "a,ü".encode(), "text", "text"),
        ("application/json", True, b"{}", "text", "text"),
        ("image/svg+xml", True, b"<svg/>", "image", "data"),
    ],
)
def test_raw_output_holds_the_bytes(media_type: str, is_utf8: bool, data: bytes, kind: str, field: str) -> None:
    record = replace(_RECORD, media_type=media_type, is_utf8=is_utf8)

    block = _attached({"content": []}, dataclasses.replace(_SHOWN, raw=data), record)["content"][-1]

    held = block.get("resource", block)[field]
    assert block["type"] == kind
    assert (held.encode() if kind == "text" else b64decode(held)) == data


@pytest.mark.parametrize("said", [b"{}", b'{"content":null,"_meta":null}', b'{"_meta":{}}'])
def test_a_result_without_content_gets_some(said: bytes) -> None:
    assert [block["type"] for block in _attached(said)["content"]] == ["resource_link"]


@pytest.mark.parametrize("said", [b'{"content":{}}', b'{"content":"x"}', b'{"_meta":[]}', b'{"_meta":7}'])
def test_what_is_no_tool_result_is_the_upstreams_fault(said: bytes) -> None:
    with pytest.raises(UpstreamDown):
        _attached(said)
