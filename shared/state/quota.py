"""Configured limits on the files of scopes: times to live, byte budgets, and artifact counts."""

from dataclasses import dataclass

from longshore.shared.config import Config
from longshore.shared.errors import OverQuota
from longshore.shared.records import ArtifactRecord, FileRecord

MIN_GRACE_S = 60             # a job may take this long between storing a file and committing its record


@dataclass(frozen=True, slots=True)
class FileLimits:
    """Limits on files. Times in ms, 0: as long as the session. None: no limit."""

    upload_ttl_ms: int = 0
    artifact_ttl_ms: int = 0
    session_bytes: int | None = None
    total_bytes: int | None = None
    session_artifacts: int | None = None
    evicts_uploads_first: bool = True
    lease_ms: int = 60_000           # time for which a call holds its files, unless renewed

    @classmethod
    def of(cls, config: Config) -> "FileLimits":
        """Return the configured limits."""
        return cls(
            upload_ttl_ms=(config.uploads.ttl_seconds or 0) * 1000,
            artifact_ttl_ms=(config.artifacts.ttl_seconds or 0) * 1000,
            session_bytes=config.sessions.max_total_session_size,
            total_bytes=config.storage.max_size,
            session_artifacts=config.artifacts.max_per_session,
            evicts_uploads_first=config.sessions.eviction_policy == "lru_uploads_then_artifacts",
        )

    @property
    def budgets(self) -> tuple[int | None, int | None]:
        """Return the byte budgets of one scope and of all scopes."""
        return self.session_bytes, self.total_bytes

    def ttl_ms(self, record: FileRecord) -> int:
        """Return the time to live of `record` after its last use; 0: as long as its session."""
        return self.artifact_ttl_ms if isinstance(record, ArtifactRecord) else self.upload_ttl_ms

    def check_possible(self, size_bytes: int) -> None:
        """Raise OverQuota for more bytes than fit even if everything else is evicted. Pure."""
        for budget in self.budgets:
            if budget is not None and size_bytes > budget:
                raise OverQuota(size_bytes=size_bytes, used_bytes=0, budget_bytes=budget)


NO_LIMITS = FileLimits()
