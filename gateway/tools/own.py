"""Helper tools and workflow document of a server that accepts uploads. Pure."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from longshore.shared.config import Config, Server, UploadConsumer
from longshore.shared.crypto.signed_links import Link, Signer

WORKFLOW_URI = "doc://upload_workflow.md"
AWAIT_DEFAULT_S = 45.0       # many clients time out after a minute
AWAIT_MAX_S = 50.0
WORKFLOW_ENTRY: dict[str, Any] = {
    "uri": WORKFLOW_URI,
    "name": "upload_workflow.md",
    "title": "How to hand files to this server's tools",
    "mimeType": "text/markdown",
}


@dataclass(frozen=True, slots=True)
class UploadLink:
    """Issued upload link."""

    base_url: str            # of this gateway as the client sees it, without a trailing slash
    link: Link
    session_id: str
    has_session: bool        # the client sends its session id, and may send it with the upload


def upload_tool_name(server: Server) -> str:
    """Name of the helper tool that returns an upload link."""
    return f"{server.prefix}_get_upload_url"


def await_tool_name(server: Server) -> str:
    """Name of the helper tool that waits for uploaded files."""
    return f"{server.prefix}_await_upload"


def helper_tools(server: Server) -> list[dict[str, Any]]:
    """Describe the helper tools as entries of `tools/list`."""
    return [upload_tool(server), await_tool(server)]


def await_tool(server: Server) -> dict[str, Any]:
    """Describe the tool that waits for uploads as an entry of `tools/list`."""
    return {
        "name": await_tool_name(server),
        "title": "Wait for uploaded files",
        "description": (
            f"Waits until the files of an upload link from {upload_tool_name(server)} are there and returns their "
            "upload handles, so that you notice when somebody else uploads them. While nothing is there after "
            "wait_seconds the status is waiting or receiving: call it again."
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "link_id": {"type": "string", "description": "link_id (or upload_url) of the upload link"},
                "wait_seconds": {
                    "type": "number", "minimum": 0, "maximum": AWAIT_MAX_S, "default": AWAIT_DEFAULT_S,
                    "description": "How long to wait before answering that nothing is there yet",
                },
            },
            "required": ["link_id"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }


def await_note(server: Server, status: str) -> str:
    """Tell the model its next step."""
    if status == "complete":
        return "Pass the upload_handles to tools instead of paths."
    return f"The files are not there yet; call {await_tool_name(server)} again, or ask whether they were sent."


def upload_tool(server: Server) -> dict[str, Any]:
    """Describe the tool that returns an upload link as an entry of `tools/list`."""
    return {
        "name": upload_tool_name(server),
        "title": "Get an upload link",
        "description": (
            "Returns a one-time link that takes files over plain HTTP (multipart/form-data) and answers with "
            f"upload handles to pass to the tools of {server.id} wherever they want a file. "
            f"Read {WORKFLOW_URI} for the whole workflow."
        ),
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": False},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }


def upload_ticket(config: Config, server: Server, issued: UploadLink, signer: Signer) -> dict[str, Any]:
    """Build the structured result with an upload link."""
    query = urlencode(signer.query(issued.link))
    url = f"{issued.base_url}{config.core.upload_path}/{quote(server.id, safe='')}?{query}"
    digest = " -F 'sha256=<hex sha256 of FILE>'" if config.uploads.require_sha256 else ""
    raw_digest = "&sha256=<hex sha256 of FILE>" if config.uploads.require_sha256 else ""
    second = digest.replace("FILE", "FILE2") if digest else ""
    return {
        "server_id": server.id,
        "tool_name": upload_tool_name(server),
        "upload_url": url,
        "page_url": url,
        "link_id": issued.link.nonce,
        "await_tool_name": await_tool_name(server),
        "resumable": config.uploads.resumable,
        "expires_at": issued.link.expires_s,
        "method": "POST",
        "headers": {"Mcp-Session-Id": issued.session_id} if issued.has_session else {},
        "auth_mode": "signed_upload_credentials",
        "credential_ttl_seconds": config.core.auth.signed_upload_ttl_seconds,
        "field_name": "file",
        "supports_multiple_files": True,
        "max_file_bytes": config.uploads.max_file_bytes,
        "sha256_required": config.uploads.require_sha256,
        "sha256_field_name": "sha256",
        "sha256_per_file": True,
        "session_id": issued.session_id,
        "example_curl": f"curl -sS -X POST '{url}' -F 'file=@FILE'{digest}",
        "example_curl_multiple": f"curl -sS -X POST '{url}' -F 'file=@FILE'{digest} -F 'file=@FILE2'{second}",
        "example_curl_raw": f"curl -sS -T FILE '{url.replace('?', '/?', 1)}{raw_digest}'",
        "note": (
            "The link works once, without any header, and the time to live counts to the start of the transfer. "
            "The answer holds upload_handles; pass them to tools instead of paths."
        ),
        "integrity_note": (
            "Every file needs a sha256 field, in the order of the files."
            if config.uploads.require_sha256
            else "Send a sha256 field for each file, in the order of the files, to have them verified."
        ),
    }


def workflow_text(config: Config, server: Server) -> str:
    """Write the workflow document, in Markdown."""
    consumers = [
        f"- `{tool}`: argument `{adapter.file_path_argument}`"
        for adapter in server.adapters
        if isinstance(adapter, UploadConsumer)
        for tool in adapter.tools
    ]
    life = f"{config.uploads.ttl_seconds} seconds" if config.uploads.ttl_seconds else "the life of the session"
    return "\n".join([
        f"# Handing files to {server.id}",
        "",
        "The tools of this server run on another machine: a path of yours means nothing to them.",
        "",
        f"1. Call `{upload_tool_name(server)}`. It answers with `upload_url`, good for one upload that begins within "
        f"{config.core.auth.signed_upload_ttl_seconds} seconds.",
        "2. Send the file there: `curl -X POST \"$upload_url\" -F file=@report.pdf`. Several `file` fields may go "
        f"in one request; each file may have up to {config.uploads.max_file_bytes} bytes.",
        "3. The JSON answer holds `upload_handles`. Pass a handle, unchanged, where a tool wants a file:",
        "",
        *consumers,
        "",
        "A person can open `page_url` in a browser and send files there. "
        f"When somebody else sends the file, call `{await_tool_name(server)}` with the `link_id` of the link: it "
        "answers with the handles once they are there.",
        f"A handle works in this session only, and for {life} since its last use.",
        "",
    ])
