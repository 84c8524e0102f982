"""Media type of a file, by content, then by name, then as declared. Pure."""

import codecs
import mimetypes
import os.path

import puremagic
from puremagic import main as signatures

_SURE_BYTES = 3              # ordinary text may start with shorter signatures, such as "BM"
_PICTURES = (                # with unique signatures
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_CONTAINERS = frozenset({"application/zip", "application/xml", "text/xml", "application/octet-stream", ""})
_ALIASES = {
    "application/x-gzip": "application/gzip",
    "image/x-ms-bmp": "image/bmp",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "video/avi": "video/x-msvideo",
    "text/xml": "application/xml",
    "application/x-javascript": "text/javascript",
    "application/javascript": "text/javascript",
}
_NAMED = {  # extensions that the platform's table lacks, or that differ from host to host
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".toml": "application/toml",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".ts": "text/typescript",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gz": "application/gzip",
    ".zst": "application/zstd",
    ".log": "text/plain",
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_EXTENSIONS = {
    "text/plain": ".txt",
    "text/html": ".html",
    "image/jpeg": ".jpg",
    "application/xml": ".xml",
    "audio/mpeg": ".mp3",
    "application/octet-stream": ".bin",
    **{media_type: extension for extension, media_type in reversed(_NAMED.items()) if extension != ".log"},
    "text/javascript": ".js",
    "application/yaml": ".yaml",
}
_table = mimetypes.MimeTypes(filenames=())  # built-in: no files of this host


def sniff(head: bytes, name: str, declared: str = "") -> str:
    """Detect the media type of a file that starts with `head` (a few KiB), for a Content-Type. Never raises.

    Content wins over the name, except for a container (ZIP, XML), whose name is more specific. The declared type
    counts only when both are inconclusive.
    """
    named = type_of_name(name)
    seen = _type_of_content(head, os.path.splitext(name)[1].lower())
    if seen is not None and not (seen in _CONTAINERS and named):
        return seen
    return named or _clean(declared) or seen or ("text/plain" if _looks_like_text(head) else "application/octet-stream")


def type_of_name(name: str) -> str:
    """Return the media type of the extension of `name`, "" when it is unknown."""
    extension = os.path.splitext(name)[1].lower()
    return _NAMED.get(extension) or _ALIASES.get(_from_table(extension), _from_table(extension))


def extension_for(media_type: str) -> str:
    """Return the usual extension of a media type, with its dot; "" when there is none."""
    return _EXTENSIONS.get(media_type) or _table.guess_extension(media_type) or ""


def _from_table(extension: str) -> str:
    return _table.types_map[True].get(extension, "")


def _type_of_content(head: bytes, extension: str) -> str | None:
    if (picture := next((kind for signature, kind in _PICTURES if head.startswith(signature)), None)) is not None:
        return picture
    return _match_signature(head, extension) if _has_signature(head) else None


def _match_signature(head: bytes, extension: str) -> str | None:
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return None
    sure = [match for match in found if match.mime_type and len(match.byte_match) >= _SURE_BYTES]
    same = [match for match in found if match.mime_type and extension and match.extension == extension]
    if same:
        return _alias(same[0].mime_type)
    if not sure or (_is_textual(sure[0].mime_type) and type_of_name(f"x{extension}")):
        return None  # for text the name is more reliable than a signature
    best = len(sure[0].byte_match)
    kinds = {_alias(match.mime_type) for match in sure if len(match.byte_match) == best}
    if len(kinds) > 1 and head.startswith(b"PK"):
        return "application/zip"
    return _alias(sure[0].mime_type)


def _has_signature(head: bytes) -> bool:
    """Return True if any signature matches: a lookup is much faster than puremagic, which tries each."""
    return any(head[start:end] in known for start, end, known in _KNOWN) or any(
        head[row.offset:row.offset + len(row.byte_match) or None] == row.byte_match
        for row in signatures.magic_footer_array
    )


def _signatures_by_position() -> tuple[tuple[int, int, frozenset[bytes]], ...]:
    """Return the signatures at the start of files, by position."""
    found: dict[tuple[int, int], set[bytes]] = {}
    for row in signatures.magic_header_array:
        found.setdefault((row.offset, row.offset + len(row.byte_match)), set()).add(row.byte_match)
    return tuple((start, end, frozenset(known)) for (start, end), known in found.items())


_KNOWN = _signatures_by_position()


def _is_textual(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type == "application/json"


def _alias(media_type: str) -> str:
    return _ALIASES.get(media_type, media_type)


def _clean(declared: str) -> str:
    media_type = declared.split(";", 1)[0].strip().lower()
    kind, _, rest = media_type.partition("/")
    if not kind or not rest or not media_type.isascii() or len(media_type) > 127:
        return ""
    allowed = all(char.isalnum() or char in "!#$&-^_.+/" for char in media_type)
    return "" if not allowed or rest.count("/") or media_type == "application/octet-stream" else media_type


def _looks_like_text(head: bytes) -> bool:
    """Return True if `head` is UTF-8 without NUL; its last character may be incomplete."""
    try:
        text = codecs.getincrementaldecoder("utf-8")("strict").decode(head)
    except UnicodeDecodeError:
        return False
    return "\0" not in text
