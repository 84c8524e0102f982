"""Helper tools and workflow document."""

import shlex
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from longshore.gateway.files.adapters import Adapters
from longshore.gateway.tools import own
from longshore.gateway.tools.own import UploadLink
from longshore.shared.config import ArtifactProducer, Artifacts, Config, Core, Server, UploadConsumer, Uploads, Upstream
from longshore.shared.crypto.signed_links import Link, Signer
from longshore.shared.ids import new_id, new_session_id

_SIGNER = Signer(["secret"])
_SESSION = new_session_id()
_SERVER = Server(
    id="Play wright/1", mount_path="/mcp/p", upstream=Upstream(url="http://up/mcp"),
    adapters=(
        UploadConsumer(tools=("read", "both"), file_path_argument="files.path"),
        UploadConsumer(tools=("both",), file_path_argument="extra"),
        ArtifactProducer(tools=("write", "both"), output_path_argument="out"),
        ArtifactProducer(tools=("write",), output_path_argument="never"),
    ),
)


def _config(*, require_sha256: bool = False, ttl_seconds: int | None = 120) -> Config:
    uploads = Uploads(require_sha256=require_sha256, ttl_seconds=ttl_seconds, max_file_bytes=1234)
    return Config(core=Core(upload_path="/up"), uploads=uploads, artifacts=Artifacts(), servers=(_SERVER,))


def _ticket(config: Config, *, has_session: bool = True) -> dict[str, object]:
    link = Link(purpose="upload", server=_SERVER.id, scope=_SESSION, target="", nonce=new_id(), expires_s=2_000_000_000)
    issued = UploadLink("https://gateway.example", link, _SESSION, has_session=has_session)
    return own.upload_ticket(config, _SERVER, issued, _SIGNER)


def test_the_ticket_has_the_fields_that_clients_rely_on() -> None:
    ticket = _ticket(_config())

    expected = {
        "server_id": _SERVER.id, "tool_name": "Play_wright_1_get_upload_url", "method": "POST",
        "headers": {"Mcp-Session-Id": _SESSION}, "auth_mode": "signed_upload_credentials",
        "credential_ttl_seconds": 120, "field_name": "file", "supports_multiple_files": True,
        "sha256_required": False, "sha256_field_name": "sha256", "sha256_per_file": True, "session_id": _SESSION,
    }
    assert {key: ticket[key] for key in expected} == expected
    texts = ("upload_url", "example_curl", "example_curl_multiple", "note", "integrity_note")
    assert all(isinstance(ticket[key], str) and ticket[key] for key in texts)
    assert msgspec.json.decode(msgspec.json.encode(ticket)) == ticket


def test_a_caller_that_sends_no_session_id_is_given_none_to_send() -> None:
    assert _ticket(_config(), has_session=False)["headers"] == {}


def test_the_link_of_the_ticket_opens_the_upload() -> None:
    url = urlsplit(str(_ticket(_config())["upload_url"]))

    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    link = _SIGNER.verify(query, purpose="upload", server=_SERVER.id, target="", now_s=0)

    assert (url.scheme, url.netloc, url.path) == ("https", "gateway.example", "/up/Play%20wright%2F1")
    assert link.scope == _SESSION


@pytest.mark.parametrize("require_sha256", [True, False])
def test_the_examples_are_commands_that_a_shell_takes(require_sha256: bool) -> None:
    ticket = _ticket(_config(require_sha256=require_sha256))

    one, two = (shlex.split(str(ticket[key])) for key in ("example_curl", "example_curl_multiple"))

    assert ticket["sha256_required"] is require_sha256
    assert [argv.count(str(ticket["upload_url"])) for argv in (one, two)] == [1, 1]
    assert [sum(word.startswith("file=@") for word in argv) for argv in (one, two)] == [1, 2]
    digests = [sum(word.startswith("sha256=") for word in argv) for argv in (one, two)]
    assert digests == ([1, 2] if require_sha256 else [0, 0])


def test_the_tool_takes_no_arguments() -> None:
    tool = own.upload_tool(_SERVER)

    assert tool["name"] == own.upload_tool_name(_SERVER) == "Play_wright_1_get_upload_url"
    assert tool["inputSchema"] == {"type": "object", "properties": {}, "additionalProperties": False}
    assert own.WORKFLOW_URI in tool["description"]


@pytest.mark.parametrize(
    "server_id, name",
    [
        ("playwright", "playwright_get_upload_url"), ("My-Server.v2", "My_Server_v2_get_upload_url"),
        ("--x--", "x_get_upload_url"), ("日本", "server_get_upload_url"), ("a  b", "a_b_get_upload_url"),
        ("_a_", "a_get_upload_url"),
    ],
)
def test_the_tools_name_begins_with_the_server(server_id: str, name: str) -> None:
    server = Server(id=server_id, mount_path="/m", upstream=Upstream(url="http://up"))

    assert own.upload_tool_name(server) == name


def test_the_workflow_names_tool_argument_limit_and_life() -> None:
    text = own.workflow_text(_config(), _SERVER)

    for part in ("`Play_wright_1_get_upload_url`", "`read`: argument `files.path`", "`both`: argument `extra`",
                 "1234 bytes", "120 seconds"):
        assert part in text
    assert "`write`" not in text


def test_the_workflow_states_that_files_live_as_long_as_the_session() -> None:
    assert "the life of the session" in own.workflow_text(_config(ttl_seconds=None), _SERVER)


def test_adapters_are_found_by_tool() -> None:
    adapters = Adapters.of(_SERVER, uploads=True, artifacts=True, expose=True)

    assert sorted(adapters.by_tool) == ["both", "read", "write"]
    assert [consumer.file_path_argument for consumer in adapters.by_tool["both"].consumers] == ["files.path", "extra"]
    producer = adapters.by_tool["write"].producer
    assert producer is not None
    assert producer.output_path_argument == "out"
    assert (adapters.accepts_uploads, adapters.exposes_artifacts) == (True, True)


def test_features_that_are_off_leave_no_adapters() -> None:
    no_uploads = Adapters.of(_SERVER, uploads=False, artifacts=True, expose=False)
    no_artifacts = Adapters.of(_SERVER, uploads=True, artifacts=False, expose=True)

    assert sorted(no_uploads.by_tool) == ["both", "write"]
    assert (no_uploads.accepts_uploads, no_uploads.exposes_artifacts) == (False, False)
    assert sorted(no_artifacts.by_tool) == ["both", "read"]
    assert (no_artifacts.accepts_uploads, no_artifacts.exposes_artifacts) == (True, False)
