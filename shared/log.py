"""Logging of every process: one line per event, JSON unless on a terminal, secrets hidden.

All events go through the same processors to stderr, those of libraries and tracebacks included.
"""

import logging
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import ContextVar
from typing import TextIO

import msgspec
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from longshore.shared.redaction import Redactor, escape

_FIRST = ("timestamp", "level", "event", "logger")

_encoder = msgspec.json.Encoder()

context = bound_contextvars
"""Context manager, as in `with context(request="…"):`, that adds fields to every event logged inside, in this task."""


_task_secrets: ContextVar[tuple[str, ...]] = ContextVar("secrets_of_callers", default=())


def hide_in_task(*secrets: str) -> None:
    """Hide these secrets of a caller as well in the log lines of this task. The last call counts."""
    _task_secrets.set(secrets)


def configure(
    level: str, *, secrets: Iterable[str] = (), headers: Collection[str] = (), stream: TextIO | None = None
) -> None:
    """Send events of at least `level` to `stream`, stderr by default. Safe to repeat; the last call counts.

    `secrets` are hidden wherever they occur, those of 6 characters and more; so are fields named as one of `headers`.
    """
    target = sys.stderr if stream is None else stream
    handler = _Handler(target)
    handler.setFormatter(_formatter(Redactor(secrets, headers=headers), for_person=target.isatty()))
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _Handler):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, merge_contextvars, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def json_lines(secrets: Iterable[str], *, headers: Collection[str] = ()) -> Callable[[logging.LogRecord], str]:
    """Return a function that renders a log record as JSON with secrets hidden."""
    return _rendered(Redactor(secrets, headers=headers), [_to_json]).format


def _formatter(redactor: Redactor, *, for_person: bool) -> ProcessorFormatter:
    return _rendered(redactor, [_single_lines, structlog.dev.ConsoleRenderer()] if for_person else [_to_json])


def _rendered(redactor: Redactor, renderers: Sequence[Processor]) -> ProcessorFormatter:
    def redact(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        secrets = _task_secrets.get()
        hiding = redactor.with_secrets(secrets) if secrets else redactor
        return {name: hiding.field(name, value) for name, value in event.items()}

    return ProcessorFormatter(
        foreign_pre_chain=[merge_contextvars],
        processors=[
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.StackInfoRenderer(),
            ProcessorFormatter.remove_processors_meta,
            redact,
            *renderers,
        ],
    )


def _to_json(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Render one line of JSON. Its strings escape line ends already; the rest of `escape` is legal there too."""
    ordered = {name: event[name] for name in _FIRST if name in event} | dict(event)
    return escape(_encoder.encode(ordered).decode())


def _single_lines(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Put each text on one line; a traceback keeps its lines, indented, so that none looks like an event."""
    shown: EventDict = {}
    for name, value in event.items():
        if name in ("exception", "stack") and isinstance(value, str):
            shown[name] = "\n".join(f"    {escape(line)}" for line in value.split("\n"))
        elif isinstance(value, str):
            shown[escape(name)] = escape(value)
        elif value is None or isinstance(value, bool | int | float):
            shown[escape(name)] = value
        else:
            shown[escape(name)] = escape(_encoder.encode(value).decode())
    return shown


class _Handler(logging.StreamHandler[TextIO]):
    """Logging handler that writes lines. An event that cannot be rendered leaves a mark, never its raw fields."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the standard library's name)
        failure = sys.exc_info()[0]
        if failure is not None and not issubclass(failure, OSError):
            self.stream.write(_to_json(None, "", {"event": "log_event_lost", "logger": record.name}) + "\n")
