"""Every Redis key that longshore uses, with its type, its life and who writes it.

`{base}` is `state_persistence.redis.key_base`. Ids inside keys are checked by `shared.ids.is_id` first.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """Names of keys under one base."""

    base: str

    def session(self, session_id: str) -> str:
        """Hash, one session: server, principal, upstream id, initialize parameters, state.

        Written by gateways on `initialize`, ended by DELETE or expiry; then a tombstone with a TTL.
        """
        return f"{self.base}:session:{session_id}"

    def leases(self, session_id: str) -> str:
        """Sorted set, calls in flight: lease id by expiry in ms of Redis time. Dies with its session."""
        return f"{self.base}:leases:{session_id}"

    def files(self, scope: str) -> str:
        """Hash, the scope's finalised files: id to msgpack record. Written by workers."""
        return f"{self.base}:files:{scope}"

    def used_bytes(self, scope: str) -> str:
        """Integer, bytes of the scope's finalised files. Changed only together with `files`."""
        return f"{self.base}:used:{scope}"

    def used_total(self) -> str:
        """Integer, bytes of all finalised files. Changed only together with `files`."""
        return f"{self.base}:used_total"

    def due(self) -> str:
        """Sorted set, what falls due when, in ms of Redis time.

        Members: `s:<session>`, `f:<scope>:<file id>`, `p:<scope>:<artifact id>` (pending).
        """
        return f"{self.base}:due"

    def sessions(self) -> str:
        """Sorted set, live session ids by creation time in ms. Written with the session."""
        return f"{self.base}:sessions"

    def grant(self, nonce: str) -> str:
        """String, `claimed` or `spent`: a one-time upload link in use or used up. TTL past the link's own."""
        return f"{self.base}:grant:{nonce}"

    def signing_secret(self) -> str:
        """String, the generated HMAC secret when the configuration has none. Written once, never expires."""
        return f"{self.base}:signing_secret"

    def worker(self, worker_id: str) -> str:
        """String, a live worker's heartbeat. TTL a few seconds, renewed by the worker."""
        return f"{self.base}:worker:{worker_id}"

    def workers(self) -> str:
        """Sorted set, worker ids by the time their heartbeat lapses, in ms. Written by workers."""
        return f"{self.base}:workers"

    def queue(self) -> str:
        """Sorted set, arq's queue: job ids by due time in ms. Written by gateways, emptied by workers."""
        return f"{self.base}:queue"

    def wake_workers(self) -> str:
        """Channel: a job was enqueued."""
        return f"{self.base}:wake:workers"

    def wake_gateway(self, gateway_id: str) -> str:
        """Channel: outcomes of this gateway's jobs."""
        return f"{self.base}:wake:{gateway_id}"

    def upstream_end(self) -> str:
        """List, upstream sessions to DELETE on behalf of ended sessions. Pushed when a session ends."""
        return f"{self.base}:upstream_end"
