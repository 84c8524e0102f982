"""PUT {core.upload_path}/{server}/announced/{file}: the one file that a client has announced, as a bare body."""

from aiohttp import web

from longshore.gateway.appkeys import BLOBS
from longshore.gateway.files import sep_2631
from longshore.gateway.files.announced_upload import AnnouncedUpload, decode_target
from longshore.gateway.http.uploads.authorization import authorize, counted
from longshore.gateway.http.uploads.form import check_fits, serve
from longshore.gateway.http.uploads.incoming import Received, display_name, say_continue
from longshore.gateway.http.uploads.raw_body import check_raw, piece, take_raw
from longshore.shared import ids


async def put(request: web.Request) -> web.StreamResponse:
    """Receives, compares with what was announced, finalises; answers as any upload of one file.

    Raises FileRefused for bytes that are not the announced ones: the link may then be used again.
    """
    with counted(request) as server:
        check_raw(request)
        target = request.match_info["file"]
        grant = await authorize(request, server, target=target)
        file = decode_target(target)
        if file.size_bytes is not None and request.content_length not in (None, file.size_bytes):
            raise sep_2631.size_differs(file.size_bytes, request.content_length or 0)
        check_fits(request, request.content_length)

        async def receive(request: web.Request, received: list[Received]) -> None:
            await _receive(request, received, file)

        return await serve(request, server, grant, receive)


async def _receive(request: web.Request, received: list[Received], file: AnnouncedUpload) -> None:
    staged = ids.new_id()
    entry = Received(
        id=file.file_id, writer_name=staged, writer=request.app[BLOBS].writer(staged), name=display_name(file.name),
        media_type=file.media_type or request.headers.get("Content-Type", ""),
    )
    received.append(entry)
    await say_continue(request)
    came = 0

    async def read() -> bytes:
        nonlocal came
        chunk = await piece(request.content)
        came += len(chunk)
        if file.size_bytes is not None and (came > file.size_bytes or (not chunk and came < file.size_bytes)):
            raise sep_2631.size_differs(file.size_bytes, came)
        return chunk

    await take_raw(request, entry, read)
    if file.sha256 not in ("", entry.sha256):
        raise sep_2631.digest_differs()
