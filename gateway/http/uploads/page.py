"""HTML pages for people who open an upload link in a browser.

A page loads nothing from any server, and only its own script and style run: the Content-Security-Policy names their
digests. The link stays in the address bar; the page repeats no part of it.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import aiofiles
from aiohttp import web

from longshore.shared.config import Config

_ASSETS = Path(__file__).with_name("assets")

# Without the script only the person can give a digest: each file has a field of its own, with its digest below.
# Empty fields are skipped (`multipart`). The script takes several files at once and computes their digests.
_DIGEST = '<p><label>Its SHA-256 <input name="sha256" pattern="[0-9a-fA-F]{64}" size="64"></label></p>'
_ANOTHER = f'<p><input type="file" name="file" aria-label="Another file"></p>{_DIGEST}'
_MAX_WITH_DIGEST = 5


class UploadPages:
    """Pages with one style and one script. Built once at start-up; pure."""

    def __init__(self, style: str, script: str) -> None:
        self._style, self._script = style, script
        policy = (
            f"default-src 'none'; script-src {_csp_hash(script)}; style-src {_csp_hash(style)}; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        self._headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",        # no-referrer would make the form's Origin null
            "X-Content-Type-Options": "nosniff",
        }

    def form(self, config: Config, server: str) -> web.Response:
        """Page with the upload form. It works without the script, and shows progress with it."""
        uploads = config.uploads
        script = f"<script>{self._script}</script>" if uploads.resumable else ""
        several, digests = "multiple ", ""
        if uploads.require_sha256:
            several, digests = "", f"{_DIGEST}{_ANOTHER * (_MAX_WITH_DIGEST - 1)}"
            digests = f"<noscript>{digests}</noscript>" if script else digests
        return self._page(
            f"Send files to {escape(server)}",
            f"""<p>Whoever gave you this link asks for one or more files, for the tools of <b>{escape(server)}</b>.
Each may have up to {_size(uploads.max_file_bytes)}. The link works once.</p>
<form method="post" enctype="multipart/form-data" data-sha256="{'required' if uploads.require_sha256 else ''}">
<div class="drop"><p>Drop files here, or choose them:</p>
<input type="file" name="file" {several}required aria-label="Files to send"></div>{digests}
<button class="send">Send</button></form><ul></ul><p role="status"></p>{script}""",
        )

    def sent(self, answer: Mapping[str, Any]) -> web.Response:
        """Page with the handles of the files of a form that was sent without the script."""
        rows = "".join(
            f'<li><div class="name">{escape(entry["filename"])}</div><small>{_size(entry["size_bytes"])}, sent</small>'
            f'<code data-handle="{escape(entry["upload_handle"])}">{escape(entry["upload_handle"])}</code></li>'
            for entry in answer["uploads"]
        )
        return self._page(
            "Sent", f"<p>The files are there. Their handles, should you be asked for them:</p><ul>{rows}</ul>"
        )

    def error(self, sentence: str, status: int) -> web.Response:
        """Page with the reason why nothing was uploaded."""
        return self._page("That did not work", f'<p class="bad">{escape(sentence)}</p>', status)

    def _page(self, title: str, body: str, status: int = 200) -> web.Response:
        text = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{title}</title><style>{self._style}</style></head>"
            f"<body><main><h1>{title}</h1>{body}</main></body></html>"
        )
        return web.Response(text=text, status=status, content_type="text/html", headers=self._headers)


async def load_pages() -> UploadPages:
    """Read the style and the script of the pages from the package."""
    async with aiofiles.open(_ASSETS / "upload.css", encoding="utf-8") as file:
        style = await file.read()
    async with aiofiles.open(_ASSETS / "upload.js", encoding="utf-8") as file:
        return UploadPages(style, await file.read())


def accepts_html(headers: Mapping[str, str]) -> bool:
    """Return True for a browser, which shows HTML to a person."""
    return "text/html" in headers.get("Accept", "")


def _csp_hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.4g} {unit}"


UPLOAD_PAGES = web.AppKey("upload_pages", UploadPages)
