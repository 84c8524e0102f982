"""What handlers reach through the application, built once at start-up, and the note each request fills in."""

from dataclasses import dataclass, field

from aiohttp import web

from longshore.gateway.auth.authenticator import Door
from longshore.gateway.auth.failed_attempts import Failures
from longshore.gateway.auth.principal import Principal
from longshore.gateway.auth.rate_limiter import Limiter
from longshore.gateway.files.adapters import Adapters
from longshore.gateway.files.fetching import Fetcher
from longshore.gateway.mcp.forwarding.cancellations import Cancellations
from longshore.gateway.mcp.input_requests.standing_streams import Stands
from longshore.gateway.mcp.input_requests.suspended_calls import ParkedCalls
from longshore.gateway.mcp.list_cache import ListCache
from longshore.gateway.mcp.replies.event_streams import Streams
from longshore.gateway.mcp.sessions.end_watcher import Endings
from longshore.gateway.mcp.sessions.leases import Leases
from longshore.gateway.mcp.subscriptions.feeds import Feeds
from longshore.gateway.metrics import Tally
from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.era_cache import Eras
from longshore.gateway.upstream.headers import HeaderRules
from longshore.gateway.upstream.health_probe import Monitor
from longshore.gateway.wire.envelope import MessageId
from longshore.shared.config import Config, Server
from longshore.shared.crypto.sealed_tokens import Sealer
from longshore.shared.crypto.signed_links import Signer
from longshore.shared.keys import Keys
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.messaging.pubsub import Hearing, News
from longshore.shared.process_metrics import Vitals
from longshore.shared.redis.connection import RedisLink
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.state.feeds import FeedStore
from longshore.shared.state.files import FileStore
from longshore.shared.state.grants import GrantStore
from longshore.shared.state.queue import Queue
from longshore.shared.state.renewal import RenewalStore
from longshore.shared.state.reservations import ReservationStore
from longshore.shared.state.resumable import ResumableStore
from longshore.shared.state.sessions import SessionStore
from longshore.shared.state.upload_waits import UploadWaits
from longshore.shared.state.workers import Workers
from longshore.shared.storage.blobs import Blobs
from longshore.shared.tasks import Tasks
from longshore.shared.tracing import Root, Traces


@dataclass(frozen=True)
class Mounted:
    """One `servers[]` entry with what was prepared for it."""

    server: Server
    client: UpstreamClient
    headers: HeaderRules
    monitor: Monitor
    adapters: Adapters


@dataclass(frozen=True, slots=True)
class Group:
    """What a route belongs to, in logs and metrics."""

    name: str
    server: str = "global"


@dataclass
class Startup:
    """How the start went; health reports it."""

    waited_s: float = 0.0
    complete: bool = False


@dataclass(slots=True)
class Note:
    """What one request turned out to be; the edge logs and counts it once."""

    request_id: str
    route_group: str = "other"
    server: str = "global"
    session_id: str = ""
    method: str = ""               # JSON-RPC method, as far as it is one that we know
    tool: str = ""                 # that a call names, where the upstream lists it, else `other`
    message_id: MessageId = None   # of the JSON-RPC request, for errors
    is_modern: bool = False        # the message is of the stateless revision, and so are its errors
    is_message: bool = False       # errors are answered as JSON-RPC
    in_tool_call: bool = False     # errors that the caller can correct are answered as tool results
    executing: bool = False        # the message was accepted: upstream failures are answers, not HTTP errors
    head_sent: bool = False        # too late for another answer: a failure can only cut this one off
    reason: str = ""
    started_s: float = 0.0
    principal: Principal | None = None
    trace: Root | None = None      # where requests are traced, this one or not
    counts: dict[str, int] = field(default_factory=dict)


class CutOff(Exception):
    """The answer under way cannot be finished: the client must see that it is cut."""


CONFIG = web.AppKey("config", Config)
DOOR = web.AppKey("door", Door)
FAILURES = web.AppKey("failures", Failures)
LIMITER = web.AppKey("limiter", Limiter)
TASKS = web.AppKey("tasks", Tasks)
LINK = web.AppKey("link", RedisLink)
KEYS = web.AppKey("keys", Keys)
LEASES = web.AppKey("leases", Leases)
RENEWALS = web.AppKey("renewals", RenewalStore)
EXPIRY = web.AppKey("expiry", ExpiryStore)
SESSIONS = web.AppKey("sessions", SessionStore)
GRANTS = web.AppKey("grants", GrantStore)
RESUMABLE = web.AppKey("resumable", ResumableStore)
STANDS = web.AppKey("stands", Stands)
PARKED = web.AppKey("parked", ParkedCalls)
CARRIED = web.AppKey("carried", Sealer)
MAILBOXES = web.AppKey("mailboxes", Mailboxes)
NEWS = web.AppKey("news", News)
ERAS = web.AppKey("eras", Eras)
FEEDS = web.AppKey("feeds", Feeds)
FEED_STORE = web.AppKey("feed_store", FeedStore)
HEARING = web.AppKey("hearing", Hearing)
ENDINGS = web.AppKey("endings", Endings)
UPLOAD_WAITS = web.AppKey("upload_waits", UploadWaits)
FILES = web.AppKey("files", FileStore)
RESERVATIONS = web.AppKey("reservations", ReservationStore)
QUEUE = web.AppKey("queue", Queue)
WORKERS = web.AppKey("workers", Workers)
BLOBS = web.AppKey("blobs", Blobs)
FETCHER = web.AppKey("fetcher", Fetcher)
SIGNER = web.AppKey("signer", Signer)
METRICS = web.AppKey("metrics", Tally)
TRACES: web.AppKey[Traces | None] = web.AppKey("traces")
VITALS = web.AppKey("vitals", Vitals)
LISTS = web.AppKey("lists", ListCache)
STREAMS = web.AppKey("streams", Streams)
CANCELLATIONS = web.AppKey("cancellations", Cancellations)
STARTUP = web.AppKey("startup", Startup)
SERVERS = web.AppKey("servers", dict[str, Mounted])

GROUPS = web.AppKey("groups", dict[str, Group])     # by a resource's canonical path

NOTE = web.RequestKey("note", Note)
MCP_GROUP = "mcp"
