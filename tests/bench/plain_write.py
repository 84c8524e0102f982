"""Time that a disk and a digest take by themselves: `python -m tests.bench.plain_write SOURCE FOLDER COUNT`.

Writes COUNT copies at once, one thread for each, hashes them, fsyncs them, and prints the seconds from the first
byte to the last fsync. The copies stay, as files that are uploaded do: blocks that a file has just given back take the
next one in a third of the time on some disks.
"""

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from longshore.shared.clock import monotonic_s

_BLOCK_BYTES = 1024 * 1024


def _write(source: Path, folder: Path, number: int) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as file, (folder / f"plain-{os.getpid()}-{number}").open("wb", buffering=0) as copy:
        while block := file.read(_BLOCK_BYTES):
            copy.write(block)
            digest.update(block)
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _main(source: Path, folder: Path, count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        begun_s = monotonic_s()
        list(pool.map(partial(_write, source, folder), range(count)))
        took_s = monotonic_s() - begun_s
    sys.stdout.write(str(took_s))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
