"""Answers to malformed HTTP: an error of the family, and a log line without any received data.

aiohttp's own answer repeats a part of the received data, and its log shows it with a traceback.
"""

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, InvalidHeader, LineTooLong
from aiohttp.web_protocol import RequestHandler

from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.protocol_errors import HeaderMismatch
from longshore.shared.errors import BadRequest

log = structlog.get_logger(__name__)

_TOO_LONG = "a header is too long; send long arguments in the body alone, or as a file"
_INVALID_HEADER = "a header has characters that are not allowed; encode its value as the protocol says"


class Connection(RequestHandler):
    """One connection of a client."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Make the answer to an error, after which the connection is closed."""
        if not isinstance(exc, HttpProcessingError) or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        err = BadRequest("this is not valid HTTP/1.1")
        if isinstance(exc, (LineTooLong, InvalidHeader)):
            err = HeaderMismatch(_TOO_LONG if isinstance(exc, LineTooLong) else _INVALID_HEADER)
        log.info("malformed_request", reason=type(exc).__name__)
        response = web.Response(status=400, body=jsonrpc.error(None, err), content_type="application/json")
        response.force_close()
        return response
