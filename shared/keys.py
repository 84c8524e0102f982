"""Names of all Redis keys and channels, with type, expiry and writer.

`{base}` is `state_persistence.redis.key_base`. Ids inside keys are checked by `longshore.shared.ids.is_id` first.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """Names under one key base. A method with an empty id returns the prefix, for scripts that build the name."""

    base: str

    def session(self, session_id: str) -> str:
        """Hash, one session: server, principal, upstream id, initialize parameters, state.

        Written by gateways on `initialize`, ended by DELETE or expiry; then a tombstone with a TTL.
        """
        return f"{self.base}:session:{session_id}"

    def latest_session(self, scope: str) -> str:
        """String, id of the caller's latest initialized session. TTL an hour. Written on `initialize`."""
        return f"{self.base}:latest:{scope}"

    def leases(self, session_id: str) -> str:
        """Sorted set, calls in flight: lease id by expiry in ms of Redis time. Deleted with its session."""
        return f"{self.base}:leases:{session_id}"

    def streams(self, session_id: str) -> str:
        """Sorted set, open event streams: lease id by expiry in ms of Redis time. Deleted with its session."""
        return f"{self.base}:streams:{session_id}"

    def renewal_lock(self, session_id: str) -> str:
        """String, token of the gateway that opens a new upstream session for this one. TTL some seconds."""
        return f"{self.base}:renewing:{session_id}"

    def files(self, scope: str) -> str:
        """Hash, the scope's finalised files: id to msgpack record. Written by workers."""
        return f"{self.base}:files:{scope}"

    def used_bytes(self, scope: str) -> str:
        """Integer, bytes of the scope's finalised files. Changed only together with `files`."""
        return f"{self.base}:used:{scope}"

    def used_total(self) -> str:
        """Integer, bytes of all finalised files. Changed only together with `files`."""
        return f"{self.base}:used_total"

    def reserved(self, scope: str) -> str:
        """Sorted set, byte reservations of the scope's uploads: `<token>:<bytes>` by expiry in ms of Redis time.

        TTL as the last of them. Written by gateways; the commit removes them as well.
        """
        return f"{self.base}:reserved:{scope}"

    def reserved_total(self) -> str:
        """Sorted set, byte reservations of all scopes. Changed only together with `reserved`."""
        return f"{self.base}:reserved_total"

    def due(self) -> str:
        """Sorted set, due times of sessions and reserved artifact ids, in ms of Redis time.

        Members: `s:<session>` (idle), `t:<session>` (tombstone), `p:<scope>:<artifact id>` (pending).
        Files have sets of their own: `upload_ends` and `artifact_ends`.
        """
        return f"{self.base}:due"

    def upload_ends(self) -> str:
        """Sorted set, uploads: `<scope>:<id>` by their end in ms of Redis time; far in the future for no end.

        Changed only together with `files`. Each use moves the end by the same time, so the order is that of last use.
        """
        return f"{self.base}:ends:u"

    def artifact_ends(self) -> str:
        """Sorted set, artifacts, as `upload_ends`."""
        return f"{self.base}:ends:a"

    def files_in_use(self, scope: str) -> str:
        """Sorted set, files in use by running calls: `<file id>:<lease id>` by the lease's expiry in ms of Redis time.

        TTL a lease's time. Written by gateways when a call names its files, renewed with the call's lease.
        """
        return f"{self.base}:uses:{scope}"

    def dropped(self, scope: str) -> str:
        """Sorted set, ids of the scope's dropped files, by the time of the drop in ms of Redis time. TTL ten minutes.

        A repeated job must not commit them again: the file is being unlinked.
        """
        return f"{self.base}:dropped:{scope}"

    def scan_cursor(self, kind: str) -> str:
        """String, cursor of the scan for records without file in one of the two sets of ends. Written by workers."""
        return f"{self.base}:checked:{kind}"

    def sessions(self) -> str:
        """Sorted set, live session ids by creation time in ms. Written with the session."""
        return f"{self.base}:sessions"

    def grant(self, nonce: str) -> str:
        """Hash, a used one-time upload link: state `claimed`, `batch` or `spent`, scope, ids of its files.

        For a batch also the numbers of started and open uploads, and each resumable one (`u:<capability>`: file id,
        or nothing once the file is about to become visible). TTL an hour past the link's own. Written by gateways.
        """
        return f"{self.base}:grant:{nonce}"

    def resumable(self, capability: str) -> str:
        """Hash, a resumable upload: record, offset on disk, writer and end of its lease, done.

        TTL the sweeper's grace time from the last byte on. Written by gateways.
        """
        return f"{self.base}:resumable:{capability}"

    def upload_link_channel(self) -> str:
        """Channel: changes of upload links; the message is the link's nonce."""
        return f"{self.base}:wake:uploads"

    def mailbox(self, owner: str, box_id: str) -> str:
        """Hash, a mailbox for one message to a waiting call: the id of its process, and the message.

        TTL as long as the call may wait. Written by gateways, removed when the call continues.
        """
        return f"{self.base}:mailbox:{owner}:{box_id}"

    def mailbox_channel(self, process: str) -> str:
        """Channel: messages in the mailboxes of this process; the published message is the id of the mailbox."""
        return f"{self.base}:wake:mail:{process}"

    def events_channel(self, scope: str) -> str:
        """Channel: events of a scope in msgpack. Gateways subscribe while a client of the scope listens."""
        return f"{self.base}:news:{scope}"

    def broadcast_channel(self) -> str:
        """Channel: events for every gateway in msgpack."""
        return f"{self.base}:news"

    def stream_frames(self, box_id: str) -> str:
        """List, at most 32 frames of messages to the receiver with this mailbox. TTL a minute from the last one on.

        Written by the gateway that runs a call, taken by the gateway that its client is connected to.
        """
        return f"{self.base}:parcel:{box_id}"

    def call_gateway_alive(self, process: str) -> str:
        """String, heartbeat of a gateway that may hold suspended calls. TTL ten seconds."""
        return f"{self.base}:asking:{process}"

    def feed(self, scope: str) -> str:
        """Hash, the feed of a scope: the gateway that holds the upstream's change stream, and its subscriptions there.

        TTL a minute, renewed by that gateway; removed with the last subscriber.
        """
        return f"{self.base}:feed:{scope}"

    def feed_subscriptions(self, scope: str) -> str:
        """Hash, subscriptions in a scope: gateway id to msgpack. TTL a minute, renewed by each gateway."""
        return f"{self.base}:feed_wants:{scope}"

    def gateway_alive(self, gateway: str) -> str:
        """String, heartbeat of a gateway with subscribers. TTL some seconds, renewed each second."""
        return f"{self.base}:alive:{gateway}"

    def upstream_era(self, upstream: str) -> str:
        """String, protocol era of an upstream, by the digest of its address; or that the probe had no result.

        TTL ten minutes, or seconds. Written by gateways.
        """
        return f"{self.base}:era:{upstream}"

    def limit_usage(self, digest: str) -> str:
        """Hash, levels of a principal's or address's buckets of requests and bytes, and when they were computed.

        TTL until both are empty. Written by gateways where limits are configured.
        """
        return f"{self.base}:limit:{digest}"

    def request_slots(self, digest: str, kind: str) -> str:
        """Sorted set, running requests of one kind of a principal or address: id by expiry in ms of Redis time.

        TTL a lease's time. Written by gateways where such limits are configured.
        """
        return f"{self.base}:places:{digest}:{kind}"

    def signing_secret(self) -> str:
        """String, generated HMAC secret for a configuration without one. Written once, never expires."""
        return f"{self.base}:signing_secret"

    def workers(self) -> str:
        """Sorted set, worker ids by the expiry of their heartbeat in ms. Written by workers."""
        return f"{self.base}:workers"

    def queue(self) -> str:
        """Sorted set, arq's queue: job ids by due time in ms of Redis time. Written by gateways, emptied by workers.

        A claimed job is due when the claim lapses, so that another worker takes it over then.
        """
        return f"{self.base}:queue"

    def job(self, job_id: str) -> str:
        """String, arq's envelope of a job. TTL: the job's deadline.

        arq fixes this name and the next three; job ids are random or begin with the base, so bases never mix.
        """
        return f"arq:job:{job_id}"

    def job_result(self, job_id: str) -> str:
        """String, arq's result of a finished job that is awaited. TTL a minute. Written by workers."""
        return f"arq:result:{job_id}"

    def job_claim(self, job_id: str) -> str:
        """String, id of the worker that runs the job. TTL a few seconds, renewed by that worker."""
        return f"arq:in-progress:{job_id}"

    def job_tries(self, job_id: str) -> str:
        """Integer, number of starts of the job. TTL a day. Written by arq."""
        return f"arq:retry:{job_id}"

    def periodic_job_id(self, job: str) -> str:
        """Id of a periodic job: while it is queued or runs, it is not enqueued again."""
        return f"{self.base}:{job}"

    def periodic_interval(self, job: str) -> str:
        """String, marks the current interval of a periodic job. TTL that interval. Written by workers."""
        return f"{self.base}:cycle:{job}"

    def worker_channel(self) -> str:
        """Channel: enqueued jobs."""
        return f"{self.base}:wake:workers"

    def outcome_channel(self, gateway_id: str) -> str:
        """Channel: outcomes of this gateway's jobs."""
        return f"{self.base}:wake:{gateway_id}"

    def reconciliation(self) -> str:
        """String, msgpack: the last reconciliation with the storage. Written by workers, never expires."""
        return f"{self.base}:reconciliation"

    def upstream_sessions_to_end(self) -> str:
        """List, upstream sessions to end with DELETE. Pushed when a session ends."""
        return f"{self.base}:upstream_end"
