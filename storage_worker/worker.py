"""Builds one worker process from the configuration and runs it until a signal stops it."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import structlog
from arq.worker import Function
from prometheus_client import CollectorRegistry, start_http_server

from longshore.shared.config import Config
from longshore.shared.errors import StoreDown
from longshore.shared.ids import new_id
from longshore.shared.jobs import Cleanup, Sweep
from longshore.shared.keys import Keys
from longshore.shared.metrics import Metrics, WorkerMetrics
from longshore.shared.otlp.lifecycle import export_telemetry
from longshore.shared.process_metrics import ProcessMetrics
from longshore.shared.process_sampler import sample_process
from longshore.shared.redis.address import RedisAddress, configured_address
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.subscription import Subscription
from longshore.shared.state.due import DueIndex
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.state.files import FileStore
from longshore.shared.state.periodic import PeriodicJobs
from longshore.shared.state.quota import FileLimits
from longshore.shared.state.reconciliation import ReconciliationStore
from longshore.shared.state.sessions import SessionLimits
from longshore.shared.state.totals import TotalsStore
from longshore.shared.state.workers import Workers
from longshore.shared.storage.blobs import Blobs
from longshore.shared.tasks import Tasks
from longshore.shared.tracing import Traces
from longshore.storage_worker.arq_pool import arq_pool
from longshore.storage_worker.arq_worker import ArqWorker
from longshore.storage_worker.heartbeat import Heartbeat, PeriodicJob
from longshore.storage_worker.job_runner import JobRunner
from longshore.storage_worker.jobs.cleanup import cleanup
from longshore.storage_worker.jobs.finalise_artifact import finalise_artifact
from longshore.storage_worker.jobs.finalise_upload import finalise_upload
from longshore.storage_worker.jobs.reconcile import reconcile_with
from longshore.storage_worker.jobs.remove_scope import remove_scope
from longshore.storage_worker.jobs.sweep import sweep
from longshore.storage_worker.reconcile_trigger import ReconcileTrigger
from longshore.storage_worker.stores import CleanupPolicy, Stores
from longshore.storage_worker.sweeping.attribution import Attribution

log = structlog.get_logger(__name__)

_MIN_SWEEP_INTERVAL_S = 60          # a sweep reads all folders, so it runs less often than clean-up


async def serve(config: Config, admin_port: int | None = None) -> None:
    """Run jobs until SIGTERM or SIGINT, then wait `core.shutdown_grace_seconds` for running ones.

    `admin_port` replaces `core.admin_port`; with 0 no metrics are served. Survives an outage of Redis. Raises
    ConfigError if the configuration names no Redis, UnsuitableRedis, and Forbidden or Unavailable if `storage.root`
    cannot be used.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    metrics = Metrics()
    port = config.core.admin_port if admin_port is None else admin_port
    if not config.telemetry.prometheus.enabled:
        port = 0
    try:
        with _metrics_server(config.core.admin_host, port, metrics.registry):
            async with (
                export_telemetry(config, metrics.registry, role="worker") as traces,
                running_worker(config, metrics.worker, metrics.process, traces),
            ):
                await stopped.wait()
                log.info("worker_stopping")
    finally:
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(signum)


@asynccontextmanager
async def running_worker(
    config: Config, metrics: WorkerMetrics, process_metrics: ProcessMetrics | None = None, traces: Traces | None = None
) -> AsyncIterator[ArqWorker]:
    """Run a worker while the block runs; its jobs end before the block is left."""
    logging.getLogger("arq").setLevel(logging.WARNING)  # below that it writes the arguments of jobs
    address, keys = configured_address(config), Keys(config.state_persistence.redis.key_base)
    async with AsyncExitStack() as stack:
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        link = RedisLink(address, tasks)
        stack.push_async_callback(link.close)
        await link.require_suitable()
        stores = await _stores(config, link, keys, stack)
        runner = JobRunner(stores, metrics, traces)
        reconciliation = ReconciliationStore(link, keys, FileLimits.of(config))
        reconcile = runner.function(reconcile_with(reconciliation, Attribution.of(config)))
        worker = _worker(link, keys, address, [*_functions(runner), reconcile], metrics)
        workers = Workers(link, keys)
        stack.push_async_callback(_deregister, workers, worker.worker_id)
        periodic = PeriodicJobs(link, keys)
        trigger = ReconcileTrigger(config.state_persistence.reconciliation.mode, reconciliation, periodic)
        heartbeat = Heartbeat(worker, workers, periodic, metrics, _periodic_jobs(config), trigger)
        _ = tasks.start(heartbeat.run(), name="heartbeat")
        if process_metrics is not None:
            tasks.spawn(sample_process(TotalsStore(link, keys), process_metrics), name="process sampler")
        subscription = Subscription(
            address, [keys.worker_channel()], tasks, on_message=lambda _: worker.wake(), on_ready=worker.wake
        )
        stack.push_async_callback(subscription.close)
        _ = tasks.start(worker.main(), name="worker")
        stack.push_async_callback(worker.stop, config.core.shutdown_grace_seconds)
        log.info("worker_started", worker_id=worker.worker_id)
        yield worker


async def _stores(config: Config, link: RedisLink, keys: Keys, stack: AsyncExitStack) -> Stores:
    storage = config.storage
    blobs = Blobs(Path(storage.root), dir_mode=storage.dir_mode, file_mode=storage.file_mode)
    stack.callback(blobs.close)
    await blobs.create_folders()
    limits = SessionLimits.of(config.sessions)
    return Stores(
        blobs=blobs, files=FileStore(link, keys, FileLimits.of(config)), due=DueIndex(link, keys),
        expiry=ExpiryStore(link, keys, limits), policy=CleanupPolicy.of(config),
    )


def _functions(runner: JobRunner) -> list[Function]:
    return [
        runner.function(finalise_upload), runner.function(finalise_artifact), runner.function(remove_scope),
        runner.function(cleanup), runner.function(sweep),
    ]


def _worker(
    link: RedisLink, keys: Keys, address: RedisAddress, functions: Sequence[Function], metrics: WorkerMetrics
) -> ArqWorker:
    return ArqWorker(
        functions, pool=arq_pool(address, keys.queue()), link=link, keys=keys, worker_id=new_id(), metrics=metrics
    )


def _periodic_jobs(config: Config) -> list[PeriodicJob]:
    interval_s = config.core.cleanup_interval_seconds
    if interval_s is None:
        return []
    jobs = [PeriodicJob(payload=Cleanup(), interval_s=interval_s)]
    if config.storage.orphan_sweeper_enabled:
        jobs.append(PeriodicJob(payload=Sweep(), interval_s=max(interval_s, _MIN_SWEEP_INTERVAL_S)))
    return jobs


async def _deregister(workers: Workers, worker_id: str) -> None:
    try:
        await workers.deregister(worker_id)
    except StoreDown:
        return  # the heartbeat expires by itself


@contextmanager
def _metrics_server(host: str, port: int, registry: CollectorRegistry) -> Iterator[None]:
    """Serve /metrics while the block runs, unless `port` is 0 or in use: a worker runs without metrics, too."""
    if not port:
        yield
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as err:
        log.error("admin_port_unusable", port=port, error=type(err).__name__)
        yield
        return
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
