"""`python -m tests.pictures [SECONDS]`: draw every dashboard into docs/images, from a real Prometheus after some work.

Grafana itself is not needed: the panels' own queries are asked, and Chromium photographs what they return.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from longshore.shared.clock import now_s
from tests.fixtures.observed import Prometheus, observed, prometheus
from tests.fixtures.processes import REPOSITORY
from tests.pictures import charts, load

_DASHBOARDS = sorted((REPOSITORY / "deploy" / "grafana" / "dashboards").glob("*.json"))
_IMAGES = REPOSITORY / "docs" / "images"
_NAME = re.compile(r"\{\{\s*(\w+)\s*\}\}")


async def main(seconds: float) -> None:
    """Work for `seconds`, then one picture a dashboard."""
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        folder = Path(name)
        async with observed(folder) as seen, prometheus(folder, seen) as server:
            began_s = now_s()
            await load.work(seen.world, seconds=seconds)
            await server.until("sum(rate(adapter_cleanup_cycles_total[15s]))")
            for file in _DASHBOARDS:
                board = msgspec.json.decode(file.read_bytes())
                panels = [await _panel(server, panel, began_s) for panel in board["panels"]]
                await _photograph(folder, file.stem, charts.page(board["title"], panels))


async def _panel(server: Prometheus, panel: dict[str, Any], began_s: float) -> str:
    lines = [line for target in panel["targets"] for line in await _lines(server, target, began_s)]
    return charts.panel(panel["title"], panel["fieldConfig"]["defaults"].get("unit", ""), lines)


async def _lines(server: Prometheus, target: dict[str, str], began_s: float) -> list[charts.Line]:
    asked = {
        "query": target["expr"].replace("$__rate_interval", "15s"), "start": f"{began_s}", "end": f"{now_s()}",
        "step": "1",
    }
    async with server.http.get(f"{server.url}/api/v1/query_range", params=asked) as answer:
        said = await answer.json()
    if said["status"] != "success":
        raise RuntimeError(f"{target['expr']}: {said}")
    return [_line(target.get("legendFormat", ""), series) for series in said["data"]["result"]]


def _line(legend: str, series: dict[str, Any]) -> charts.Line:
    name = _NAME.sub(lambda found: series["metric"].get(found[1], ""), legend)
    values = [(float(moment), float(value)) for moment, value in series["values"]]
    return charts.Line(name, [(moment, value) for moment, value in values if value == value])   # quantiles of nothing


async def _photograph(folder: Path, name: str, page: str) -> None:
    file = folder / f"{name}.html"
    file.write_text(page)
    height = 60 + (page.count("<svg ") + 1) // 2 * (charts.HEIGHT + 12)
    process = await asyncio.create_subprocess_exec(
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={folder / 'chromium'}", f"--window-size={2 * charts.WIDTH + 40},{height}",
        f"--screenshot={_IMAGES / f'dashboard-{name}.png'}", file.as_uri(),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(said.decode())


if __name__ == "__main__":
    try:
        asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 90))
    except aiohttp.ClientError as err:
        raise SystemExit(f"Prometheus does not answer: {err}") from err
