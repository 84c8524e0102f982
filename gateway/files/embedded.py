"""Files embedded in a tool result (images, audio, resources), and links to resources. Pure."""

import base64
import binascii
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import msgspec

from longshore.gateway.files.blocks import Block, Resource
from longshore.gateway.wire.protocol_errors import ArtifactMissing


class Embedded(msgspec.Struct, frozen=True):
    """Embedded file, still in base64 or as text."""

    data: str
    is_base64: bool
    media_type: str
    name: str                # from the resource's URI, "" for none

    def decode(self) -> bytes:
        """Decode the bytes. Raises ArtifactMissing for broken base64."""
        if not self.is_base64:
            return self.data.encode()
        try:
            return base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError):
            raise ArtifactMissing("the tool embedded a file whose base64 is broken") from None


class Linked(msgspec.Struct, frozen=True):
    """Resource that a result links to."""

    uri: str
    media_type: str
    name: str


def embedded_files(blocks: Sequence[Block]) -> list[Embedded]:
    """List images, audio, blobs and text resources, in order."""
    return [found for block in blocks if (found := _of_block(block)) is not None]


def embedded_and_linked(blocks: Sequence[Block]) -> list[Embedded | Linked]:
    """List embedded files and links to resources in order, each link once."""
    found: list[Embedded | Linked] = []
    links = set[Linked]()
    for block in blocks:
        part = _linked(block) or _of_block(block)
        if isinstance(part, Linked):
            if part in links:
                continue
            links.add(part)
        if part is not None:
            found.append(part)
    return found


def of_resource(resource: Resource) -> Embedded | None:
    """Return the contents of one resource; None if it has neither text nor blob."""
    name = _last_part(resource.uri)
    if resource.blob is not None:
        return Embedded(resource.blob, True, resource.mime_type or "", name)
    if resource.text is not None:
        return Embedded(resource.text, False, resource.mime_type or "text/plain", name)
    return None


def _of_block(block: Block) -> Embedded | None:
    if block.type in ("image", "audio") and block.data:
        return Embedded(block.data, True, block.mime_type or "", "")
    if block.type != "resource" or block.resource is None:
        return None
    return of_resource(block.resource)


def _linked(block: Block) -> Linked | None:
    if block.type != "resource_link" or not isinstance(block.uri, str) or not block.uri:
        return None
    return Linked(block.uri, block.mime_type or "", block.name if isinstance(block.name, str) else "")


def _last_part(uri: str) -> str:
    try:
        return unquote(urlsplit(uri).path.rsplit("/", 1)[-1])
    except ValueError:
        return ""
