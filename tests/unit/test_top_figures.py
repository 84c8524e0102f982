"""Figures of `longshore top`, and their table."""

import pytest
from rich.console import Console, RenderableType

from longshore.cli.figures import Figures, ServerFigures, add_metrics
from longshore.cli.top_view import render

_GATEWAY = """# TYPE longshore_sessions gauge
longshore_sessions 7.0
# TYPE longshore_streams_open gauge
longshore_streams_open 2.0
# TYPE longshore_redis_up gauge
longshore_redis_up %d
# TYPE adapter_http_requests counter
adapter_http_requests_total{http_response_status_class="2xx"} 90.0
adapter_http_requests_total{http_response_status_class="5xx"} 10.0
# TYPE adapter_upstream_tool_calls counter
adapter_upstream_tool_calls_total{server_id="web",tool_name="a",result="success"} 4.0
adapter_upstream_tool_calls_total{server_id="web",tool_name="a",result="error"} 1.0
"""


def _drawn(renderable: RenderableType) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


def test_counters_are_added_and_shared_totals_are_not() -> None:
    figures = Figures()
    add_metrics(figures, _GATEWAY % 1)
    add_metrics(figures, _GATEWAY % 0)

    assert (figures.answered, figures.sessions, figures.streams) == (2, 7, 4)
    assert (figures.requests, figures.failed_requests, figures.redis_up) == (200, 20, False)
    assert figures.servers == {"web": ServerFigures(calls=10, failed=2)}


@pytest.mark.parametrize("text", ["", "{", "<html>no</html> {", "metric{a=\"b\" 1"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no metrics"):
        add_metrics(Figures(), text)


def test_rates_are_since_the_previous_update_and_never_negative() -> None:
    then, later = ServerFigures(calls=10, seconds=1), ServerFigures(calls=30, seconds=2)
    before = Figures(answered=1, requests=100, uploaded_bytes=5_000, servers={"web": then})
    now = Figures(answered=1, requests=150, uploaded_bytes=0, servers={"web": later})

    drawn = _drawn(render(now, before, 10.0))

    assert "150 5.0/s" in drawn
    assert "0 bytes/s" in drawn
    assert "web" in drawn
    assert "50.0 ms" in drawn


def test_faults_are_at_the_top() -> None:
    drawn = _drawn(render(Figures(answered=1, redis_up=False, silent=["http://127.0.0.1:1"])))

    assert "Redis does not answer" in drawn
    assert "no answer: http://127.0.0.1:1" in drawn
