"""Describes finished uploads in responses to clients. Pure."""

from typing import Any

from longshore.gateway.files.handles import upload_handle
from longshore.shared.records import UploadRecord


def describe_uploads(scheme: str, server: str, scope: str, records: list[UploadRecord]) -> dict[str, Any]:
    """Describe the files of one upload; a single file is described a second time under `upload`."""
    uploads = [
        {
            "upload_handle": upload_handle(scheme, record), "upload_id": record.id, "filename": record.name,
            "mime_type": record.media_type, "size_bytes": record.size_bytes, "sha256": record.sha256,
        }
        for record in records
    ]
    answer: dict[str, Any] = {
        "server_id": server, "session_id": scope, "uploads": uploads,
        "upload_handles": [entry["upload_handle"] for entry in uploads], "count": len(uploads),
    }
    if len(uploads) == 1:
        only = dict(uploads[0])
        answer["upload_handle"] = only.pop("upload_handle")
        answer["upload"] = only
    return answer
