"""The watch over the whole suite finds what comes out: without these, its silence would say nothing."""

import logging
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from prometheus_client import Counter

from longshore.shared.metrics import Metrics
from tests.fixtures.collector import over_http
from tests.fixtures.gateway import Backing, entry, gateway
from tests.fixtures.processes import LONGSHORE, run
from tests.fixtures.secrecy import WATCH
from tests.fixtures.upstreams import ScriptedUpstream

SECRET = "0-secret-that-comes-out"


@pytest.fixture(autouse=True)
def _known() -> None:
    WATCH.know([SECRET])


def found() -> list[str]:
    """Places where secrets were found so far."""
    return [leak.rpartition(" in ")[2] for leak in WATCH.take()]


def test_in_the_output_of_a_process(tmp_path: Path) -> None:
    with run([*LONGSHORE, "check", "--config", tmp_path / f"{SECRET}.yaml"], folder=tmp_path) as process:
        process.wait(within_s=30)

    assert found() == ["the output of " + " ".join(Path(part).name for part in (*LONGSHORE, "check"))]


def test_in_events(tmp_path: Path) -> None:
    log = structlog.get_logger("tests")

    log.info("happened", detail=f"with {SECRET}")
    log.info("happened", headers={"Authorization": SECRET}, url="http://host/upload/files?nonce=0123456789abcdef")
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("broke")

    assert found() == ["the event 'happened'", "the event 'broke'"]


def test_in_lines_of_libraries() -> None:
    logging.getLogger("some.library").error("took %s", SECRET)

    assert found() == ["a line of some.library"]


async def test_in_answers_that_refuse() -> None:
    async def refuse(request: web.Request) -> web.Response:
        status = 200 if request.path == "/fine" else 400
        return web.json_response({"detail": f"no {request.headers['Authorization']}"}, status=status)

    app = web.Application()
    app.router.add_get("/{path}", refuse)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        for path in ("/fine", "/refused"):
            async with http.get(server.make_url(path), headers={"Authorization": "Bearer 1-learnt-from-the-header"}):
                pass

    assert found() == ["the answer 400 of GET /refused"]


async def test_in_exports() -> None:
    export = ExportLogsServiceRequest()
    export.resource_logs.add().scope_logs.add().log_records.add().body.string_value = f"took {SECRET}"
    with over_http() as collector:
        async with aiohttp.ClientSession() as http, http.post(
            f"{collector.url}/v1/logs", data=export.SerializeToString()
        ) as answer:
            assert answer.status == 200

    assert found() == ["an export of logs"]


async def test_in_metrics(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    metrics = Metrics()
    Counter("leaky", "Leaky.", ["who"], registry=metrics.registry).labels(SECRET).inc()
    async with gateway(shared_backing.config(entry(upstream.url)), metrics=metrics):
        pass

    assert "metrics" in found()


async def test_a_configured_secret_is_learnt(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    shared_backing.config(
        entry(upstream.url, upstream={"static_headers": {"X-Key": "2-learnt-from-the-configuration"}})
    )

    WATCH.search("key 2-learnt-from-the-configuration", "somewhere")
    structlog.get_logger("tests").info("hidden", detail="2-learnt-from-the-configuration")

    assert found() == ["somewhere"]


def test_a_link_that_still_works_is_found() -> None:
    WATCH.search("GET /upload/files?scope=x&sig=0123456789abcdef", "a line")
    WATCH.search("GET /upload/files?scope=x&sig=[hidden]&nonce=[hidden]", "another")

    assert found() == ["a line"]
