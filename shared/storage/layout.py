"""Layout of files below `storage.root`, and safe file names. Pure.

    uploads/sessions/<scope>/<upload id>/<file name>
    artifacts/sessions/<scope>/<artifact id>/<file name>
    staging/<name>          incomplete files, not visible to clients
    state/                  the private Redis of `longshore up`
"""

import os.path
import unicodedata

from longshore.shared.records import FileRecord, UploadRecord

UPLOADS = "uploads"
ARTIFACTS = "artifacts"
STAGING = "staging"
STATE = "state"
SESSIONS = "sessions"

_MAX_NAME_BYTES = 255
_FORBIDDEN = frozenset('/\\:*?"<>|')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"com{n}" for n in range(1, 10)} | {f"lpt{n}" for n in range(1, 10)}
)


def upload_parts(scope: str, upload_id: str, stored_name: str) -> tuple[str, ...]:
    """Return the path components of an upload, from the storage root."""
    return (UPLOADS, SESSIONS, scope, upload_id, stored_name)


def artifact_parts(scope: str, artifact_id: str, stored_name: str) -> tuple[str, ...]:
    """Return the path components of an artifact, from the storage root."""
    return (ARTIFACTS, SESSIONS, scope, artifact_id, stored_name)


def parts_of(record: FileRecord) -> tuple[str, ...]:
    """Return the path components of a record's file, from the storage root."""
    parts = upload_parts if isinstance(record, UploadRecord) else artifact_parts
    return parts(record.scope, record.id, record.stored_name)


def folder_of(record: FileRecord) -> tuple[str, ...]:
    """Return the path components of the folder that holds only this record's file."""
    return parts_of(record)[:-1]


def staging_parts(staged_name: str) -> tuple[str, ...]:
    """Return the path components of a staged file, from the storage root."""
    return (STAGING, staged_name)


def safe_name(name: str, *, fallback: str = "file") -> str:
    """Convert `name` to one path component of at most 255 bytes, with its extension and letters. Never raises.

    Separators, control and invisible characters and those that some file systems refuse become `_`; a name that is
    empty, only dots, or a device name of Windows gets a prefix.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join("_" if _is_unsafe(char) else char for char in text).strip(" ")
    text = text.rstrip(".") or fallback
    stem = text.split(".", 1)[0].strip().lower()
    if text.startswith(".") or stem in _DEVICES:
        text = f"{fallback}_{text.lstrip('.')}"
    return _shorten(text)


def _is_unsafe(char: str) -> bool:
    return char in _FORBIDDEN or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _shorten(name: str) -> str:
    if len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    stem, extension = os.path.splitext(name)
    if len(extension.encode()) > 32:
        stem, extension = name, ""
    room = _MAX_NAME_BYTES - len(extension.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" ") + extension
