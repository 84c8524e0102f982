"""Finalise jobs: hand staged files to a storage worker and wait for their records."""

from longshore.shared.errors import WorkerDown
from longshore.shared.jobs import ArtifactDone, FinaliseArtifact, FinaliseUpload, NothingFound, UploadsDone
from longshore.shared.records import UploadRecord
from longshore.shared.state.queue import Queue

_TIMEOUT_S = 30.0


async def finalise_upload(queue: Queue, order: FinaliseUpload) -> list[UploadRecord]:
    """Run the job and return the records of its files, all or none.

    Raises the error that the job was refused with. After WorkerDown and StoreDown the job may still run.
    """
    outcome = await queue.run(order, timeout_s=_TIMEOUT_S)
    if not isinstance(outcome, UploadsDone):
        raise WorkerDown("the storage worker answered something else than an upload; try again")
    return outcome.records


async def finalise_artifact(queue: Queue, order: FinaliseArtifact) -> ArtifactDone | NothingFound:
    """Run the job and return its artifacts, or the reasons why none could be captured.

    Raises the error that the job was refused with, WorkerDown, StoreDown.
    """
    outcome = await queue.run(order, timeout_s=_TIMEOUT_S)
    return outcome if isinstance(outcome, ArtifactDone) else NothingFound(
        refusals=outcome.refusals if isinstance(outcome, NothingFound) else []
    )
