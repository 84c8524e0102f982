"""Builds and parses handles of uploads and URIs of artifacts. Pure.

    {uploads.uri_scheme}sessions/<session id>/<upload id>
    {artifacts.uri_scheme}sessions/<session id>/<artifact id>/<file name, percent-encoded>
"""

from dataclasses import dataclass
from urllib.parse import quote, unquote

from longshore.shared.ids import is_id
from longshore.shared.records import ArtifactRecord, UploadRecord


@dataclass(frozen=True, slots=True)
class Handle:
    """Parsed handle. `name` is None if the handle has no file name."""

    scope: str
    file_id: str
    name: str | None = None


def upload_handle(scheme: str, record: UploadRecord) -> str:
    """Build the handle of an upload."""
    return handle_of(scheme, record.scope, record.id)


def handle_of(scheme: str, scope: str, upload_id: str) -> str:
    """Build the handle of the upload with this id."""
    return f"{scheme}sessions/{scope}/{upload_id}"


def artifact_uri(scheme: str, record: ArtifactRecord) -> str:
    """Build the URI of an artifact."""
    return f"{scheme}sessions/{record.scope}/{record.id}/{quote(record.name, safe='')}"


def parse(text: str, schemes: tuple[str, ...]) -> Handle | None:
    """Parse a handle; None if it has none of the `schemes` or is malformed."""
    scheme = next((scheme for scheme in schemes if text.lower().startswith(scheme)), None)
    if scheme is None or len(text) > 2000:
        return None
    parts = text[len(scheme):].split("/")
    if len(parts) not in (3, 4) or parts[0] != "sessions" or not (is_id(parts[1]) and is_id(parts[2])):
        return None
    return Handle(parts[1], parts[2], unquote(parts[3]) if len(parts) == 4 else None)


def begins_with(text: str, schemes: tuple[str, ...]) -> bool:
    """True if `text` has one of the `schemes`, even if the rest is malformed."""
    return text[:64].lower().startswith(schemes)
