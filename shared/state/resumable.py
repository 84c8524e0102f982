"""Resumable uploads in progress: the offset and the writer of each. Any gateway may continue any upload."""

from dataclasses import dataclass

import msgspec

from longshore.shared.errors import NotFound, OffsetConflict, SessionGone, Unavailable, UploadBusy
from longshore.shared.keys import Keys
from longshore.shared.records import Record, encode
from longshore.shared.redis.connection import Arg, RedisLink
from longshore.shared.redis.scripts import Script

_CREATE = Script("create_resumable")
_ACQUIRE = Script("acquire_resumable")
_ADVANCE = Script("advance_resumable")
_GONE = "there is no upload at this URL; it may have expired or been terminated: create a new one"


class ResumableUpload(Record, frozen=True, kw_only=True, tag=3):
    """Upload of one file in several requests, each of which may reach another gateway.

    Written once when the upload is created. Redis: a field of `keys.resumable`, which expires when no bytes arrive.
    """

    file_id: str             # of the later record; also the file name in `staging/`
    scope: str               # the session id
    server: str
    name: str                # as the client named it
    media_type: str          # as the client declared it, "" when it did not
    size_bytes: int
    sha256: str = ""         # lowercase hex, "" when the client did not say
    nonce: str = ""          # of its upload link, "" when a credential was used
    metadata: str = ""       # `Upload-Metadata` as sent
    reservation: str = ""    # of the file's bytes until its record is committed, "" for none


_decoder = msgspec.msgpack.Decoder(ResumableUpload)


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a resumable upload."""

    upload: ResumableUpload
    offset: int              # bytes on disk
    is_done: bool            # the file is visible


class ResumableStore:
    """Typed access to resumable uploads by capability: 32 random characters that authorize a request."""

    def __init__(self, link: RedisLink, keys: Keys, *, ttl_ms: int) -> None:
        self._link = link
        self._keys = keys
        self.ttl_ms = ttl_ms     # after the last byte

    async def create(self, capability: str, upload: ResumableUpload) -> None:
        """Save a new upload, also with its upload link. Its file in staging exists already."""
        keys = [self._keys.resumable(capability), self._keys.grant(upload.nonce)]
        args: list[Arg] = [encode(upload), self.ttl_ms, capability if upload.nonce else "", upload.file_id]
        await self._link.run(_CREATE, keys, args)

    async def get(self, capability: str) -> Progress:
        """Return the state of the upload. Raises NotFound."""
        record, offset, done = await self._link.call(
            "HMGET", self._keys.resumable(capability), "record", "offset", "done"
        )
        if record is None:
            raise NotFound(_GONE)
        return Progress(_decode(record), int(offset), done is not None)

    async def acquire(self, capability: str, *, writer: str, offset: int | None, lease_ms: int) -> Progress:
        """Become the only writer for `lease_ms`, at this offset or at the current one; a finished upload needs none.

        Raises NotFound, OffsetConflict, UploadBusy; with an offset also SessionGone.
        """
        args: list[Arg] = [writer, -1 if offset is None else offset, lease_ms, self._keys.session("")]
        status, *rest = await self._link.run(_ACQUIRE, [self._keys.resumable(capability)], args)
        if status == 0:
            raise NotFound(_GONE)
        if status == 1:
            raise OffsetConflict(f"the upload is at byte {int(rest[0])}; continue from there")
        if status == 2:
            raise UploadBusy("another request writes this upload; retry when that one has ended")
        if status == 4:
            raise SessionGone("the session that this upload belongs to has ended; start again in a new one")
        if offset is not None and int(rest[1]) != offset:
            raise OffsetConflict("the upload is complete")
        return Progress(_decode(rest[0]), int(rest[1]), bool(rest[2]))

    async def advance(
        self, capability: str, *, writer: str, offset: int, lease_ms: int = 0, is_done: bool = False
    ) -> None:
        """Save the offset on disk, and renew the lease of the writer or end it with `lease_ms` 0.

        Raises UploadBusy when another writer has taken over: then nothing more may be written.
        """
        keys = [self._keys.resumable(capability), self._keys.reserved_total()]
        args: list[Arg] = [writer, offset, lease_ms, self.ttl_ms, int(is_done), self._keys.reserved("")]
        (noted,) = await self._link.run(_ADVANCE, keys, args)
        if not noted:
            raise UploadBusy("another request has taken this upload over, or it was terminated")

    async def delete(self, capability: str) -> None:
        """Delete the upload. Only its writer may call this."""
        await self._link.call("DEL", self._keys.resumable(capability))


def _decode(record: bytes) -> ResumableUpload:
    try:
        return _decoder.decode(record)
    except msgspec.ValidationError as err:
        raise Unavailable("this upload was started by a longshore of another version; start again") from err
