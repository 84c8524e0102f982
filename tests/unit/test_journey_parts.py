"""Pure parts of `longshore up --demo`."""

import re
from pathlib import Path

import msgspec
import pytest

from longshore.cli.demo import config, pdf
from longshore.cli.demo.clients import recipes
from longshore.shared.config import ArtifactProducer, UploadConsumer
from longshore.shared.config.load import load_config

_URL = "http://127.0.0.1:8932/mcp/demo"


def test_every_object_of_the_pdf_is_at_the_offset_in_its_table() -> None:
    document = pdf.page("Title", ["one", "two"])

    start = int(document.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    entries = re.findall(rb"(\d{10}) 00000 n \n", document[start:])

    assert document[start:].startswith(b"xref\n0 6\n")
    assert [document[int(at) :].split(b" ", 1)[0] for at in entries] == [b"1", b"2", b"3", b"4", b"5"]


def test_the_length_of_the_pdf_s_stream_is_right() -> None:
    document = pdf.page("Title", ["one", "two"])

    announced = re.search(rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", document, re.DOTALL)

    assert announced is not None
    assert int(announced[1]) == len(announced[2])


@pytest.mark.parametrize(
    "title, shown",
    [
        pytest.param("a (b) c", rb"(a \(b\) c)", id="parentheses"),
        pytest.param("back\\slash", rb"(back\\slash)", id="backslash"),
        pytest.param("two\nlines", rb"(two lines)", id="line break"),
        pytest.param("Zürich", b"(Z\xfcrich)", id="latin"),
        pytest.param("東京", b"(??)", id="not in the font"),
    ],
)
def test_no_title_breaks_out_of_its_string(title: str, shown: bytes) -> None:
    assert shown + b" Tj" in pdf.page(title, [])


def test_json_recipes_name_the_mount_at_each_client_s_key() -> None:
    found = {recipe.client: recipe for recipe in recipes("longshore-demo", _URL)}

    code = msgspec.json.decode(found["VS Code"].text)
    cursor = msgspec.json.decode(found["Cursor"].text)

    assert code == {"servers": {"longshore-demo": {"type": "http", "url": _URL}}}
    assert cursor == {"mcpServers": {"longshore-demo": {"url": _URL}}}


def test_text_recipes_can_be_pasted_unchanged() -> None:
    found = {recipe.client: recipe.text for recipe in recipes("longshore-demo", _URL)}

    codex = msgspec.toml.decode(found["Codex"])

    assert found["Claude Code"] == f"claude mcp add --transport http longshore-demo {_URL}"
    assert codex == {"mcp_servers": {"longshore-demo": {"url": _URL}}}


@pytest.mark.parametrize("folder", ["plain", "with space", 'quo"te', "${HOME}", "# no comment: really", "münchen"])
def test_the_demo_configuration_is_the_same_for_any_name_of_its_folder(tmp_path: Path, folder: str) -> None:
    file = tmp_path / "demo.yaml"
    root = str(tmp_path / folder)
    file.write_text(config.render(root=root, upstream="http://127.0.0.1:1/mcp", port=8940, admin_port=8941))

    loaded = load_config(file)

    server = loaded.servers[0]
    assert (loaded.storage.root, loaded.core.port, loaded.core.admin_port) == (root, 8940, 8941)
    assert (server.id, server.mount_path) == (config.SERVER_ID, config.MOUNT)
    assert [type(adapter) for adapter in server.adapters] == [UploadConsumer, ArtifactProducer]
    assert loaded.core.allow_artifacts_download
    assert loaded.notices == ()
