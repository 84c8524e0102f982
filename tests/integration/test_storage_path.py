"""An upstream that has the storage volume mounted somewhere else is handed, and hands out, its own paths."""

import base64
from pathlib import Path

from tests.fixtures.gateway import Backing, connected, consumer, entry, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, writes


async def test_paths_are_the_upstreams_on_its_side_and_ours_on_ours(
    shared_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    theirs = tmp_path / "mnt"
    theirs.symlink_to(shared_backing.root)     # the same volume, at another place

    async def copies(seen: Seen) -> Reply:
        given = seen.params["arguments"]
        Path(given["to"]).write_bytes(Path(given["path"]).read_bytes() * 2)
        return result(seen, {"content": []})

    async def saves(seen: Seen) -> Reply:
        place = theirs / "tool-output" / "saved.bin"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"\x00saved")
        return result(seen, {"content": [{"type": "text", "text": f"saved to {place}"}]})

    adapters = (
        consumer("read"), producer("read", "to"),
        producer("write", None, output_locator={"mode": "regex"}),
    )
    config = shared_backing.config(entry(upstream.url, *adapters, upstream={"storage_path": str(theirs)}))
    async with connected(config) as client:
        handle = await client.upload_one("in.bin", b"\x00\xff")
        upstream.behaviours["tools/call"] = copies
        copied = (await client.call("read", {"path": handle, "to": "out.bin"}))["_meta"]["artifact"]
        sent = upstream.last("tools/call").params["arguments"]
        upstream.behaviours["tools/call"] = saves
        saved = (await client.call("write"))["_meta"]["artifact"]
        read = [
            (await client.result("resources/read", {"uri": artifact["artifact_uri"]}))["contents"][0]["blob"]
            for artifact in (copied, saved)
        ]

    assert sent["path"].startswith(f"{theirs}/uploads/sessions/")
    assert sent["to"].startswith(f"{theirs}/artifacts/sessions/")
    assert [base64.b64decode(blob) for blob in read] == [b"\x00\xff" * 2, b"\x00saved"]


async def test_a_path_outside_the_upstreams_mount_is_not_taken_for_ours(
    shared_backing: Backing, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    theirs = tmp_path / "mnt"
    theirs.symlink_to(shared_backing.root)
    (tmp_path / "mnt-other").mkdir()
    (tmp_path / "mnt-other" / "x.txt").write_text("no")
    upstream.behaviours["tools/call"] = writes(b"", argument="elsewhere", text=f"saved to {tmp_path}/mnt-other/x.txt")
    adapter = producer("write", None, output_locator={"mode": "regex"})
    config = shared_backing.config(entry(upstream.url, adapter, upstream={"storage_path": str(theirs)}))
    async with connected(config) as client:
        said = await client.call("write", {"elsewhere": str(tmp_path / "ignored")})

    assert said["isError"] is True
