"""Reserved output: the artifact that a call may write, at a path injected into its arguments.

It is reserved before the call, and released after it unless it was captured.
"""

import asyncio
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from longshore.gateway.appkeys import BLOBS, FILES, TASKS
from longshore.gateway.files import arguments, candidates
from longshore.gateway.mcp.call_files.retry_state import RetryState
from longshore.gateway.mcp.exchange import Exchange, lease_id
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.shared import ids
from longshore.shared.config import ArtifactProducer
from longshore.shared.storage import layout

_GRACE_AFTER_CALL_S = 60
_MAX_CALL_S = 86_400         # where no timeout is configured


@dataclass(slots=True)
class ReservedOutput:
    """Artifact that a running call may write."""

    artifact_id: str
    producer: ArtifactProducer
    not_before_ns: int           # by the volume's clock, taken before the call
    path: str = ""               # injected into the arguments, as workers see it; "" for none
    name: str = ""
    is_captured: bool = False    # by a worker


def storage_root(exchange: Exchange) -> PurePosixPath:
    """Return the storage root as the upstream sees it."""
    own = PurePosixPath(exchange.request.app[BLOBS].folders.root)
    theirs = exchange.mount.server.upstream.storage_path
    return PurePosixPath(theirs) if theirs else own


def to_worker_path(exchange: Exchange, path: str) -> str:
    """Convert a path named by the upstream to the path that workers see."""
    theirs = storage_root(exchange)
    own = PurePosixPath(exchange.request.app[BLOBS].folders.root)
    named = PurePosixPath(path)
    if theirs != own and named.is_relative_to(theirs):
        return str(own.joinpath(named.relative_to(theirs)))
    if exchange.mount.server.upstream.storage_path is None and not named.is_relative_to(own):
        return candidates.in_our_layout(path, str(own))
    return path


async def reserve(
    exchange: Exchange, producer: ArtifactProducer, given: dict[str, Any], retry: RetryState | None
) -> ReservedOutput:
    """Reserve an artifact and inject its path where the adapter has an argument for it. A retry uses the same one."""
    before = RetryState() if retry is None else retry
    output = ReservedOutput(before.artifact_id or ids.new_id(), producer, not_before_ns=0)
    if producer.output_path_argument is None:
        output.not_before_ns = await exchange.request.app[BLOBS].volume_time_ns()
    else:
        await _inject(exchange, output, producer.output_path_argument, given)
    output.not_before_ns = before.not_before_ns or output.not_before_ns
    if retry is not None and output.path:
        retry.artifact_id, retry.not_before_ns = output.artifact_id, output.not_before_ns
    return output


async def _inject(exchange: Exchange, output: ReservedOutput, argument: str, given: dict[str, Any]) -> None:
    app, scope = exchange.request.app, exchange.caller.session_id
    timeout_s = exchange.config.tool_timeout_s(exchange.mount.server, output.producer) or _MAX_CALL_S
    grace_ms = int(timeout_s + _GRACE_AFTER_CALL_S) * 1000
    folder = layout.artifact_parts(scope, output.artifact_id, "")[:-1]
    lease = lease_id(exchange.context, exchange.envelope)
    # Where the session has ended, the sweep finds the folder.
    output.not_before_ns, _ = await asyncio.gather(
        app[BLOBS].make_folder(folder),
        app[LEASES].reserve(scope, lease, output.artifact_id, grace_ms=grace_ms),
    )
    root = storage_root(exchange)

    def path_for(requested: str) -> str:
        output.name = layout.safe_name(PurePosixPath(requested).name, fallback=exchange.envelope.name or "artifact")
        return str(root.joinpath(*folder, output.name))

    arguments.inject(given, argument, path_for)
    output.path = str(app[BLOBS].folders.root.joinpath(*folder, output.name))


def release(exchange: Exchange, output: ReservedOutput) -> None:
    """Release the reservation and remove the file, unless it was captured or the adapter leaves it to the tool."""
    if output.is_captured or not output.path:
        return
    app, scope = exchange.request.app, exchange.caller.session_id
    keep_file = not output.producer.persist

    async def drop() -> None:
        await app[FILES].drop_pending(scope, output.artifact_id)
        if not keep_file:
            await app[BLOBS].remove_folder(layout.artifact_parts(scope, output.artifact_id, "")[:-1])

    app[TASKS].spawn(drop(), name="abandon_artifact")
