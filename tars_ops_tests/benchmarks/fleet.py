"""How do many services with an hour behind them break at chosen moments, in front of a real Prometheus?

Each service is a port of its own whose counters follow from the clock alone, so that its past, which is loaded as
blocks, and its present, which is scraped, are one series.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tars_ops_tests.live.history import load_blocks
from tars_ops_tests.live.servers import PrometheusProcess, free_port, prometheus

REQUESTS_PER_S = 20.0
SCRAPE_S = 15
HISTORY_S = 75 * 60
SHARE_BELOW = {"0.1": 0.9, "0.5": 0.9995, "+Inf": 1.0}


@dataclass
class Service:
    """One service of a product; it fails a share of its requests, and all of them once it is broken."""

    product: str
    name: str
    version: str = "1.0.0"
    failing_ratio: float = 0.0
    port: int = field(default_factory=free_port)
    began_at: float = field(default_factory=lambda: float(int(time.time()) - HISTORY_S))
    """Unix seconds."""
    broken_at: float | None = None
    server: ThreadingHTTPServer | None = None

    def break_down(self) -> None:
        """Answer every request from now on with an error."""
        self.broken_at = time.time()

    def die(self) -> None:
        """Stop listening, as a killed process does."""
        self.broken_at = time.time()
        if self.server:
            self.server.shutdown()
            self.server.server_close()

    @property
    def labels(self) -> str:
        """What every series carries."""
        return f'product="{self.product}",service="{self.name}",version="{self.version}"'

    def samples(self, at: float) -> Iterator[tuple[str, str, int]]:
        """Yield name, labels and value of every series at an instant."""
        well_s = min(at, self.broken_at or at) - self.began_at
        n_bad = int(REQUESTS_PER_S * (self.failing_ratio * well_s + max(0.0, at - self.began_at - well_s)))
        n_good = int(REQUESTS_PER_S * (1 - self.failing_ratio) * well_s)
        yield "http_requests_total", f'{self.labels},status="200"', n_good
        yield "http_requests_total", f'{self.labels},status="500"', n_bad
        for bound, share in SHARE_BELOW.items():
            yield (
                "http_request_duration_seconds_bucket",
                f'{self.labels},le="{bound}"',
                int(share * REQUESTS_PER_S * (at - self.began_at)),
            )

    def serve(self) -> None:
        """Answer scrapes until it dies."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = "".join(f"{name}{{{labels}}} {n}\n" for name, labels, n in service.samples(time.time()))
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


@contextmanager
def scraped(services: Sequence[Service], root: Path) -> Iterator[PrometheusProcess]:
    """Serve the services, and a Prometheus that has scraped them for an hour and goes on doing so."""
    targets = "\n".join(
        f'      - {{targets: ["127.0.0.1:{one.port}"], labels: {{instance: "127.0.0.1:{one.port}"}}}}'
        for one in services
    )
    config = f"""
global: {{scrape_interval: {SCRAPE_S}s, scrape_timeout: 5s}}
scrape_configs:
  - job_name: fleet
    honor_labels: true
    static_configs:
{targets}
"""
    text = root / "history.om"
    text.write_text("\n".join([*_openmetrics(services), "# EOF", ""]))
    load_blocks([text], root / "tsdb")
    text.unlink()
    with ExitStack() as running:
        for one in services:
            one.serve()
            running.callback(one.die)
        yield running.enter_context(prometheus(root / "tsdb", config=config))


def _openmetrics(services: Sequence[Service]) -> Iterator[str]:
    """Yield the past of every series; loaded as gauges, which ask nothing of their names."""
    now = int(time.time())
    lines: dict[str, list[str]] = {}
    for service in services:
        for at in range(int(service.began_at), now, SCRAPE_S):
            for name, labels, value in service.samples(at):
                origin = f'instance="127.0.0.1:{service.port}",job="fleet"'
                lines.setdefault(name, []).append(f"{name}{{{labels},{origin}}} {value} {at}")
    for name, found in lines.items():
        yield f"# TYPE {name} gauge"
        yield from found
