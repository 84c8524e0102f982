"""Application keys of shared types, built once at start-up. A key of a gateway class stands beside its class."""

from aiohttp import web

from longshore.shared.config import Config
from longshore.shared.crypto.signed_links import Signer
from longshore.shared.keys import Keys
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.messaging.pubsub import EventListener, Publisher
from longshore.shared.process_metrics import ProcessMetrics
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
from longshore.shared.state.upload_watcher import UploadWatcher
from longshore.shared.state.workers import Workers
from longshore.shared.storage.blobs import Blobs
from longshore.shared.tasks import Tasks
from longshore.shared.tracing import Traces

CONFIG = web.AppKey("config", Config)
TASKS = web.AppKey("tasks", Tasks)
REDIS = web.AppKey("redis", RedisLink)
KEYS = web.AppKey("keys", Keys)
RENEWALS = web.AppKey("renewals", RenewalStore)
EXPIRY = web.AppKey("expiry", ExpiryStore)
SESSIONS = web.AppKey("sessions", SessionStore)
GRANTS = web.AppKey("grants", GrantStore)
RESUMABLE = web.AppKey("resumable", ResumableStore)
MAILBOXES = web.AppKey("mailboxes", Mailboxes)
PUBLISHER = web.AppKey("publisher", Publisher)
FEED_STORE = web.AppKey("feed_store", FeedStore)
EVENT_LISTENER = web.AppKey("event_listener", EventListener)
UPLOAD_WAITS = web.AppKey("upload_waits", UploadWatcher)
FILES = web.AppKey("files", FileStore)
RESERVATIONS = web.AppKey("reservations", ReservationStore)
QUEUE = web.AppKey("queue", Queue)
WORKERS = web.AppKey("workers", Workers)
BLOBS = web.AppKey("blobs", Blobs)
SIGNER = web.AppKey("signer", Signer)
TRACES: web.AppKey[Traces | None] = web.AppKey("traces")
PROCESS_METRICS = web.AppKey("process_metrics", ProcessMetrics)
