"""Forgetting everything in the private store of `longshore up`: records in its Redis, files below `storage.root`."""

from pathlib import Path

from longshore.cli.store import opened_at
from longshore.shared.config import Config
from longshore.shared.redis.address import RedisAddress
from longshore.shared.storage.blobs import Blobs
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, STAGING, UPLOADS


async def forget_all(config: Config, socket: Path) -> None:
    """Empty the private Redis that listens on `socket`, then remove the files. Nobody else may use either yet."""
    async with opened_at(RedisAddress(unix_path=str(socket)), config) as store:
        await store.link.call("FLUSHALL")
    await forget_files(config)


async def forget_files(config: Config) -> None:
    """Remove every upload, artifact and staged file; nothing else below the root is touched."""
    storage = config.storage
    blobs = Blobs(Path(storage.root), dir_mode=storage.dir_mode, file_mode=storage.file_mode)
    try:
        for folder in ((UPLOADS, SESSIONS), (ARTIFACTS, SESSIONS), (STAGING,)):
            await blobs.remove_folder(folder)
        await blobs.create_folders()
    finally:
        blobs.close()
