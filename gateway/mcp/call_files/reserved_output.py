"""The artifact that a call may write: its path goes into the arguments before, and what came to nothing is given up."""

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
_LONGEST_CALL_S = 86_400


@dataclass(slots=True)
class Pending:
    """An artifact that a running call may write."""

    artifact_id: str
    producer: ArtifactProducer
    not_before_ns: int           # by the volume's clock, taken before the call
    injected: str = ""           # the path in the arguments, as workers see it; "" when none was injected
    name: str = ""
    settled: bool = False        # a worker has captured it, or taken it away


def storage_root(exchange: Exchange) -> PurePosixPath:
    """The storage root as the upstream sees it."""
    own = PurePosixPath(exchange.request.app[BLOBS].folders.root)
    theirs = exchange.mount.server.upstream.storage_path
    return PurePosixPath(theirs) if theirs else own


def as_ours(exchange: Exchange, path: str) -> str:
    """A path that the upstream named, as workers see it."""
    theirs = storage_root(exchange)
    own = PurePosixPath(exchange.request.app[BLOBS].folders.root)
    named = PurePosixPath(path)
    if theirs != own and named.is_relative_to(theirs):
        return str(own.joinpath(named.relative_to(theirs)))
    if exchange.mount.server.upstream.storage_path is None and not named.is_relative_to(own):
        return candidates.in_our_layout(path, str(own))
    return path


async def begin(
    exchange: Exchange, producer: ArtifactProducer, given: dict[str, Any], carried: RetryState | None
) -> Pending:
    """Take an id and, where the adapter has an argument for it, reserve the artifact and put its path there. What an
    earlier round of the call took is taken again."""
    before = RetryState() if carried is None else carried
    pending = Pending(before.artifact_id or ids.new_id(), producer, not_before_ns=0)
    if producer.output_path_argument is None:
        pending.not_before_ns = await exchange.request.app[BLOBS].volume_time_ns()
    else:
        await _inject(exchange, pending, producer.output_path_argument, given)
    pending.not_before_ns = before.not_before_ns or pending.not_before_ns
    if carried is not None and pending.injected:
        carried.artifact_id, carried.not_before_ns = pending.artifact_id, pending.not_before_ns
    return pending


async def _inject(exchange: Exchange, pending: Pending, argument: str, given: dict[str, Any]) -> None:
    app, scope = exchange.request.app, exchange.caller.session_id
    timeout_s = exchange.config.tool_timeout_s(exchange.mount.server, pending.producer) or _LONGEST_CALL_S
    grace_ms = int(timeout_s + _GRACE_AFTER_CALL_S) * 1000
    folder = layout.artifact_parts(scope, pending.artifact_id, "")[:-1]
    lease = lease_id(exchange.context, exchange.envelope)
    # Where there is no session any more, the sweep finds the folder.
    pending.not_before_ns, _ = await asyncio.gather(
        app[BLOBS].make_folder(folder),
        app[LEASES].reserve(scope, lease, pending.artifact_id, grace_ms=grace_ms),
    )
    root = storage_root(exchange)

    def path_for(wanted: str) -> str:
        pending.name = layout.safe_name(PurePosixPath(wanted).name, fallback=exchange.envelope.name or "artifact")
        return str(root.joinpath(*folder, pending.name))

    arguments.inject(given, argument, path_for)
    pending.injected = str(app[BLOBS].folders.root.joinpath(*folder, pending.name))


def abandon(exchange: Exchange, pending: Pending) -> None:
    """Give up what was reserved, unless it was captured or the adapter leaves the file to the tool."""
    if pending.settled or not pending.injected:
        return
    app, scope = exchange.request.app, exchange.caller.session_id
    keep_file = not pending.producer.persist

    async def drop() -> None:
        await app[FILES].drop_pending(scope, pending.artifact_id)
        if not keep_file:
            await app[BLOBS].remove_folder(layout.artifact_parts(scope, pending.artifact_id, "")[:-1])

    app[TASKS].spawn(drop(), name="abandon_artifact")
