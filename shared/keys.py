"""Every Redis key that longshore uses, with its type, its life and who writes it.

`{base}` is `state_persistence.redis.key_base`. Ids inside keys are checked by `longshore.shared.ids.is_id` first.
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

    @property
    def session_prefix(self) -> str:
        """What the names of `session` keys begin with, for scripts that learn the id themselves."""
        return f"{self.base}:session:"

    def latest(self, scope: str) -> str:
        """String, the id of the session that this caller initialised last. TTL an hour. Written on `initialize`."""
        return f"{self.base}:latest:{scope}"

    def leases(self, session_id: str) -> str:
        """Sorted set, calls in flight: lease id by expiry in ms of Redis time. Dies with its session."""
        return f"{self.base}:leases:{session_id}"

    def streams(self, session_id: str) -> str:
        """Sorted set, open event streams: lease id by expiry in ms of Redis time. Dies with its session."""
        return f"{self.base}:streams:{session_id}"

    def renewing(self, session_id: str) -> str:
        """String, the token of the gateway that opens a new upstream session for this one. TTL some seconds."""
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
        """Sorted set, bytes set aside for the scope's uploads under way: `<token>:<bytes>` by expiry in ms of Redis
        time. TTL as the last of them. Written by gateways, emptied by the commit as well."""
        return f"{self.base}:reserved:{scope}"

    def reserved_total(self) -> str:
        """Sorted set, the same of all scopes. Changed only together with `reserved`."""
        return f"{self.base}:reserved_total"

    def due(self) -> str:
        """Sorted set, what falls due when, in ms of Redis time.

        Members: `s:<session>` (idle), `t:<session>` (tombstone), `p:<scope>:<artifact id>` (pending).
        Files have sets of their own: `upload_ends` and `artifact_ends`.
        """
        return f"{self.base}:due"

    def upload_ends(self) -> str:
        """Sorted set, uploads: `<scope>:<id>` by the end of their life in ms of Redis time, far off where there
        is none. Changed only together with `files`.

        Each use moves the end by the same time, so this is the order of last use as well.
        """
        return f"{self.base}:ends:u"

    def artifact_ends(self) -> str:
        """Sorted set, artifacts, as `upload_ends`."""
        return f"{self.base}:ends:a"

    def uses(self, scope: str) -> str:
        """Sorted set, files that running calls use: `<file id>:<lease id>` by the lease's expiry in ms of Redis time.

        TTL a lease's time. Written by gateways when a call names its files, renewed with the call's lease.
        """
        return f"{self.base}:uses:{scope}"

    def dropped(self, scope: str) -> str:
        """Sorted set, ids of the scope's files whose records were dropped, by that time in ms of Redis time.

        TTL ten minutes. Written with the drop. A job that runs again must not commit them anew: whoever dropped
        the record is about to unlink the file.
        """
        return f"{self.base}:dropped:{scope}"

    def checked(self, kind: str) -> str:
        """String, how far the search for records without file has come in one of the two sets of ends. Written by
        workers, never expires."""
        return f"{self.base}:checked:{kind}"

    def sessions(self) -> str:
        """Sorted set, live session ids by creation time in ms. Written with the session."""
        return f"{self.base}:sessions"

    def grant(self, nonce: str) -> str:
        """Hash, a one-time upload link in use or used up: state `claimed`, `batch` or `spent`, its scope, the ids of
        the files it made; of a batch how many uploads were begun and are open, and which (`u:<capability>`, file id,
        or nothing once that is about to become visible). TTL an hour past the link's own. Written by gateways."""
        return f"{self.base}:grant:{nonce}"

    def resumable(self, capability: str) -> str:
        """Hash, a resumable upload: record, offset on disk, its writer and until when it may write, done. TTL the
        sweeper's grace time from the last byte on. Written by gateways."""
        return f"{self.base}:resumable:{capability}"

    def wake_uploads(self) -> str:
        """Channel: what an upload link was used for has changed; the message is its nonce."""
        return f"{self.base}:wake:uploads"

    def mailbox(self, owner: str, box_id: str) -> str:
        """Hash, a place for one message to a call that waits: the id of the process that it waits in, and the message.
        TTL as long as the call may wait. Written by gateways, removed when the call goes on."""
        return f"{self.base}:mailbox:{owner}:{box_id}"

    def wake_mail(self, process: str) -> str:
        """Channel: a mailbox of this process has its message; what is published is the id of the mailbox."""
        return f"{self.base}:wake:mail:{process}"

    def news(self, scope: str) -> str:
        """Channel: what has changed for those who listen in a scope, msgpack. Gateways listen while a client does."""
        return f"{self.base}:news:{scope}"

    def news_for_all(self) -> str:
        """Channel: what every gateway has to hear, as `news`."""
        return f"{self.base}:news"

    def parcel(self, box_id: str) -> str:
        """List, frames of messages to the listener at this mailbox, 32 at most. TTL a minute from the last one on.
        Written by the gateway that runs a call, taken by the one that its client speaks to."""
        return f"{self.base}:parcel:{box_id}"

    def asking(self, process: str) -> str:
        """String, this gateway lives and may hold calls that wait for their clients. TTL ten seconds, renewed by
        it."""
        return f"{self.base}:asking:{process}"

    def feed(self, scope: str) -> str:
        """Hash, who holds the upstream's stream of changes for those who listen in a scope: the gateway, and what it
        has subscribed to there. TTL a minute, renewed by that gateway; removed when nobody listens any more."""
        return f"{self.base}:feed:{scope}"

    def feed_wants(self, scope: str) -> str:
        """Hash, what those who listen in a scope want: gateway id to msgpack. TTL a minute, renewed by each gateway."""
        return f"{self.base}:feed_wants:{scope}"

    def gateway_alive(self, gateway: str) -> str:
        """String, a gateway that listens for its clients lives. TTL some seconds, written each second by it."""
        return f"{self.base}:alive:{gateway}"

    def era(self, upstream: str) -> str:
        """String, the era of the protocol that an upstream speaks, by the digest of its address; or that it did not say
        when it was asked. TTL ten minutes, or seconds. Written by gateways."""
        return f"{self.base}:era:{upstream}"

    def limit(self, digest: str) -> str:
        """Hash, what a principal or address has taken of its limits: how full its buckets of requests and of bytes
        are, and when that was. TTL until both are empty. Written by gateways where limits are configured."""
        return f"{self.base}:limit:{digest}"

    def places(self, digest: str, kind: str) -> str:
        """Sorted set, requests of one kind that run for a principal or address: id by expiry in ms of Redis time.
        TTL a lease's time. Written by gateways where such limits are configured."""
        return f"{self.base}:places:{digest}:{kind}"

    def signing_secret(self) -> str:
        """String, the generated HMAC secret when the configuration has none. Written once, never expires."""
        return f"{self.base}:signing_secret"

    def workers(self) -> str:
        """Sorted set, worker ids by the time their heartbeat lapses, in ms. Written by workers."""
        return f"{self.base}:workers"

    def queue(self) -> str:
        """Sorted set, arq's queue: job ids by due time in ms of Redis time. Written by gateways, emptied by workers.

        A job that a worker has claimed is due when the claim lapses, so that another worker takes it over then.
        """
        return f"{self.base}:queue"

    def job(self, job_id: str) -> str:
        """String, arq's envelope of a job. TTL: the job's deadline.

        arq fixes this name and the next three; job ids are random or begin with the base, so bases never mix.
        """
        return f"arq:job:{job_id}"

    def job_result(self, job_id: str) -> str:
        """String, arq's result of a finished job that somebody waits for. TTL a minute. Written by workers."""
        return f"arq:result:{job_id}"

    def job_claim(self, job_id: str) -> str:
        """String, the id of the worker that runs the job. TTL a few seconds, renewed by that worker."""
        return f"{self.job_claims}{job_id}"

    @property
    def job_claims(self) -> str:
        """What every `job_claim` begins with, for the scripts that build such names themselves."""
        return "arq:in-progress:"

    def job_tries(self, job_id: str) -> str:
        """Integer, how often the job was begun. TTL a day. Written by arq."""
        return f"arq:retry:{job_id}"

    def periodic_job_id(self, job: str) -> str:
        """The one id of a periodic job: while it is queued or runs, it is not enqueued again."""
        return f"{self.base}:{job}"

    def cycle(self, job: str) -> str:
        """String, the current interval of a periodic job has begun. TTL that interval. Written by workers."""
        return f"{self.base}:cycle:{job}"

    def wake_workers(self) -> str:
        """Channel: a job was enqueued."""
        return f"{self.base}:wake:workers"

    def wake_gateway(self, gateway_id: str) -> str:
        """Channel: outcomes of this gateway's jobs."""
        return f"{self.base}:wake:{gateway_id}"

    def reconciliation(self) -> str:
        """String, msgpack: the last pass that compared this Redis with the storage. Written by workers; stays."""
        return f"{self.base}:reconciliation"

    def upstream_end(self) -> str:
        """List, upstream sessions to DELETE on behalf of ended sessions. Pushed when a session ends."""
        return f"{self.base}:upstream_end"
