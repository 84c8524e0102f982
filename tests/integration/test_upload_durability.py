"""Durability of uploads, by the worker's system calls: files are on disk before their records, and are not re-read."""

import io
from pathlib import Path
from urllib.parse import urljoin

from longshore.shared.redis.scripts import Script
from longshore.shared.storage.blobs import HEAD_BYTES
from tests.fixtures.gateway import Backing, Client, connected, consumer, entry
from tests.fixtures.processes import until
from tests.fixtures.system_calls import Call, calls, traced
from tests.fixtures.upstreams import ScriptedUpstream

_CONTENT = bytes(range(256)) * 4_000
_COMMIT = Script("commit_files").sha
_TUS = {"Tus-Resumable": "1.0.0"}
_BYTES = {**_TUS, "Content-Type": "application/offset+octet-stream"}


async def _form(client: Client) -> None:
    answer = await client.upload(await client.upload_url(), ("a.bin", _CONTENT), ("b.bin", _CONTENT))
    assert answer.status == 200


async def _put(client: Client) -> None:
    async with client.http.put(await client.upload_url(), data=io.BytesIO(_CONTENT)) as answer:
        assert answer.status == 200


async def _tus(client: Client) -> None:
    """In two requests."""
    link, half = await client.upload_url(), len(_CONTENT) // 2
    async with client.http.post(link, headers={**_TUS, "Upload-Length": str(len(_CONTENT))}) as created:
        address = urljoin(link, created.headers["Location"])
    for start in (0, half):
        headers = {**_BYTES, "Upload-Offset": str(start)}
        async with client.http.patch(address, data=_CONTENT[start:start + half], headers=headers) as answer:
            assert answer.status == 204


async def test_every_file_is_on_disk_before_its_record_is_committed(
    fresh_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """So are its name and the names of its folders, for every kind of upload. The worker reads only the beginning of a
    file, for its type: the size comes from the file system, the digest from the gateway."""
    made, batches = fresh_backing, list[set[str]]()
    async with (
        connected(made.config(entry(upstream.url, consumer("read")))) as client,
        traced(made.worker_pid, tmp_path) as trace,
    ):
        for send in (_form, _put, _tus):
            before = set(made.stored())
            await send(client)
            batches.append(set(made.stored()) - before)

        async def all_written_down() -> list[Call] | None:
            return found if len(_commits(found := calls(trace))) == len(batches) else None

        found = await until(all_written_down)

    assert [len(batch) for batch in batches] == [2, 1, 1]
    for commit, batch in zip(_commits(found), batches, strict=True):
        for name in batch:
            path = made.root / name
            [moved] = [call for call in found if call.name.startswith("rename") and f'"{path.name}"' in call.text
                       and str(path.parent) in call.text]
            for place in (path, path.parent, path.parent.parent, path.parent.parent.parent):
                assert any(
                    call.name == "fsync" and call.path == str(place) and call.result == 0
                    and moved.ended < call.begun and call.ended < commit.begun
                    for call in found
                ), (commit, place)
            read = [call for call in found if call.name in ("read", "pread64") and call.path.endswith(path.parent.name)]
            read += [call for call in found if call.name in ("read", "pread64") and call.path == str(path)]
            assert sum(call.result for call in read) <= HEAD_BYTES


def _commits(found: list[Call]) -> list[Call]:
    return [call for call in found if call.name in ("write", "writev", "sendto", "sendmsg") and _COMMIT in call.text]
