"""What kind of file it is: told by content, then by name, then by what was declared. Pure."""

import codecs
import mimetypes
import os.path

import puremagic
from puremagic import main as signatures

_SURE_BYTES = 3              # shorter signatures, such as "BM", begin ordinary texts too
_PICTURES = (                # whose signatures are nobody else's
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
_NAMED = {  # what the platform's own table leaves out, or tells differently from host to host
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
_table = mimetypes.MimeTypes(filenames=())  # the one that is built in: no file of this host's


def sniff(head: bytes, name: str, declared: str = "") -> str:
    """The media type of a file that begins with `head` (a few KiB), for use in a Content-Type.

    Content wins over the name where it tells, except that a container (ZIP, XML) is what its name says;
    a declared type counts only when neither tells. Never raises.
    """
    named = type_of_name(name)
    seen = _type_of_content(head, os.path.splitext(name)[1].lower())
    if seen is not None and not (seen in _CONTAINERS and named):
        return seen
    return named or _clean(declared) or seen or ("text/plain" if _looks_like_text(head) else "application/octet-stream")


def type_of_name(name: str) -> str:
    """The media type that the extension of `name` stands for, "" when it tells nothing."""
    extension = os.path.splitext(name)[1].lower()
    return _NAMED.get(extension) or _ALIASES.get(_listed(extension), _listed(extension))


def extension_for(media_type: str) -> str:
    """The usual extension of a media type, with its dot; "" when there is none."""
    return _EXTENSIONS.get(media_type) or _table.guess_extension(media_type) or ""


def _listed(extension: str) -> str:
    return _table.types_map[True].get(extension, "")


def _type_of_content(head: bytes, extension: str) -> str | None:
    if (picture := next((kind for signature, kind in _PICTURES if head.startswith(signature)), None)) is not None:
        return picture
    return _as_known(head, extension) if _may_tell(head) else None


def _as_known(head: bytes, extension: str) -> str | None:
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return None
    sure = [match for match in found if match.mime_type and len(match.byte_match) >= _SURE_BYTES]
    same = [match for match in found if match.mime_type and extension and match.extension == extension]
    if same:
        return _alias(same[0].mime_type)
    if not sure or (_is_textual(sure[0].mime_type) and type_of_name(f"x{extension}")):
        return None  # a text that begins like another kind of text is what its name says
    best = len(sure[0].byte_match)
    kinds = {_alias(match.mime_type) for match in sure if len(match.byte_match) == best}
    if len(kinds) > 1 and head.startswith(b"PK"):
        return "application/zip"
    return _alias(sure[0].mime_type)


def _may_tell(head: bytes) -> bool:
    """Whether any signature matches: to look them up is much quicker than to try each, which is what asking means."""
    return any(head[start:end] in known for start, end, known in _KNOWN) or any(
        head[row.offset:row.offset + len(row.byte_match) or None] == row.byte_match
        for row in signatures.magic_footer_array
    )


def _by_place() -> tuple[tuple[int, int, frozenset[bytes]], ...]:
    """The signatures at the beginning of files, by where they stand."""
    found: dict[tuple[int, int], set[bytes]] = {}
    for row in signatures.magic_header_array:
        found.setdefault((row.offset, row.offset + len(row.byte_match)), set()).add(row.byte_match)
    return tuple((start, end, frozenset(known)) for (start, end), known in found.items())


_KNOWN = _by_place()


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
    """Whether it decodes as UTF-8, a character cut at the end allowed, and holds no NUL."""
    try:
        text = codecs.getincrementaldecoder("utf-8")("strict").decode(head)
    except UnicodeDecodeError:
        return False
    return "\0" not in text
