"""PUT {core.upload_path}/{server}/announced/{file}: receives a file that a client has announced (SEP-2631)."""

from functools import partial

from aiohttp import web

from longshore.gateway.appkeys import BLOBS
from longshore.gateway.files import sep_2631
from longshore.gateway.files.announced_upload import AnnouncedUpload, decode_target
from longshore.gateway.http.uploads.authorization import authorize, count_failures
from longshore.gateway.http.uploads.form import check_fits, receive_and_answer
from longshore.gateway.http.uploads.incoming import ReceivedFile, display_name, send_continue
from longshore.gateway.http.uploads.raw_body import check_raw_body, read_chunk, write_raw_body
from longshore.shared import ids


async def put(request: web.Request) -> web.StreamResponse:
    """Receive the announced file, compare it with its announcement, and answer as any upload of one file does.

    Raises FileRefused for other bytes than the announced ones; the link may then be used again.
    """
    with count_failures(request) as server:
        check_raw_body(request)
        target = request.match_info["file"]
        grant = await authorize(request, server, target=target)
        file = decode_target(target)
        if file.size_bytes is not None and request.content_length not in (None, file.size_bytes):
            raise sep_2631.size_differs(file.size_bytes, request.content_length or 0)
        check_fits(request, request.content_length)
        return await receive_and_answer(request, server, grant, partial(_receive, file))


async def _receive(file: AnnouncedUpload, request: web.Request, received: list[ReceivedFile]) -> None:
    staged = ids.new_id()
    entry = ReceivedFile(
        id=file.file_id, writer_name=staged, writer=request.app[BLOBS].writer(staged), name=display_name(file.name),
        media_type=file.media_type or request.headers.get("Content-Type", ""),
    )
    received.append(entry)
    await send_continue(request)
    received_bytes = 0

    async def read() -> bytes:
        nonlocal received_bytes
        chunk = await read_chunk(request.content)
        received_bytes += len(chunk)
        size = file.size_bytes
        if size is not None and (received_bytes > size or (not chunk and received_bytes < size)):
            raise sep_2631.size_differs(size, received_bytes)
        return chunk

    await write_raw_body(request, entry, read)
    if file.sha256 not in ("", entry.sha256):
        raise sep_2631.digest_differs()
