"""Deletes all state of `longshore up`: records in its private Redis and files below `storage.root`."""

from pathlib import Path

from longshore.cli.store import open_store_at
from longshore.shared.config import Config
from longshore.shared.redis.address import RedisAddress
from longshore.shared.storage.blobs import Blobs
from longshore.shared.storage.layout import ARTIFACTS, SESSIONS, STAGING, UPLOADS


async def delete_all(config: Config, socket: Path) -> None:
    """Empty the private Redis at `socket`, then delete the files. No other process may use either yet."""
    async with open_store_at(RedisAddress(unix_path=str(socket)), config) as store:
        await store.link.call("FLUSHALL")
    await delete_files(config)


async def delete_files(config: Config) -> None:
    """Delete every upload, artifact and staged file, and nothing else below the root."""
    storage = config.storage
    blobs = Blobs(Path(storage.root), dir_mode=storage.dir_mode, file_mode=storage.file_mode)
    try:
        for folder in ((UPLOADS, SESSIONS), (ARTIFACTS, SESSIONS), (STAGING,)):
            await blobs.remove_folder(folder)
        await blobs.create_folders()
    finally:
        blobs.close()
