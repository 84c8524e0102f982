"""What every job works with."""

from dataclasses import dataclass
from pathlib import Path

from longshore.shared.config import Config
from longshore.shared.state.due import DueIndex
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.state.files import FileStore
from longshore.shared.storage.blobs import Blobs


@dataclass(frozen=True, slots=True)
class CleanupPolicy:
    """What the configuration says about the files that jobs come upon."""

    orphan_grace_s: int
    capture_roots: tuple[Path, ...]  # folders outside storage.root from which a tool's file may be captured


@dataclass(frozen=True, slots=True)
class Stores:
    """Built once at start-up, shared by all jobs of the process."""

    blobs: Blobs
    files: FileStore
    due: DueIndex
    expiry: ExpiryStore
    policy: CleanupPolicy


def policy_of(config: Config) -> CleanupPolicy:
    """The part of the configuration that jobs need. Pure."""
    storage = config.storage
    free = storage.artifact_locator_policy == "allow_configured_roots"
    return CleanupPolicy(
        orphan_grace_s=storage.orphan_sweeper_grace_seconds,
        capture_roots=tuple(map(Path, storage.artifact_locator_allowed_roots)) if free else (),
    )
