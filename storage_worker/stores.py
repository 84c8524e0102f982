"""Stores and settings that every job uses."""

from dataclasses import dataclass
from pathlib import Path

from longshore.shared.config import Config
from longshore.shared.state.due import DueIndex
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.state.files import FileStore
from longshore.shared.storage.blobs import Blobs


@dataclass(frozen=True, slots=True)
class CleanupPolicy:
    """Settings for files without a record and for paths outside the storage."""

    orphan_grace_s: int
    capture_roots: tuple[Path, ...]  # folders outside storage.root from which a tool's file may be captured

    @classmethod
    def of(cls, config: Config) -> "CleanupPolicy":
        """Read the settings from `config`."""
        storage = config.storage
        allows_roots = storage.artifact_locator_policy == "allow_configured_roots"
        return cls(
            orphan_grace_s=storage.orphan_sweeper_grace_seconds,
            capture_roots=tuple(map(Path, storage.artifact_locator_allowed_roots)) if allows_roots else (),
        )


@dataclass(frozen=True, slots=True)
class Stores:
    """Stores of one process, built at start-up and shared by all jobs."""

    blobs: Blobs
    files: FileStore
    due: DueIndex
    expiry: ExpiryStore
    policy: CleanupPolicy
