"""What does a product that measures itself look like to a scraper?

A program, not a module: it serves ``/work`` and ``/metrics`` on one port and sends itself steady traffic.
"""

import argparse
import http.client
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

LABELS = ("product", "service", "version")
BUILD = Gauge("app_build_info", "The version that runs.", LABELS)
REQUESTS = Counter("http_requests", "Requests answered.", (*LABELS, "status"))
LATENCY = Histogram("http_request_duration_seconds", "Time to answer.", LABELS)
QUERIES = Histogram("db_query_duration_seconds", "Time of a query.", LABELS)
HITS = Counter("redis_keyspace_hits", "Look-ups that found a value.", LABELS)
MISSES = Counter("redis_keyspace_misses", "Look-ups that found none.", LABELS)

NOT_FOUND_RATIO = 0.01
FAILING_RATIO = 0.5
"""Share of requests that fail once somebody has asked for ``/break``."""
CACHE_HIT_RATIO = 0.95


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--product", default="tars")
    parser.add_argument("--service", default="gateway")
    parser.add_argument("--version", default="1.0.1")
    parser.add_argument("--requests-per-s", type=float, default=20.0)
    return parser.parse_args()


def handler(labels: tuple[str, str, str], dice: random.Random) -> type[BaseHTTPRequestHandler]:
    """Return the request handler of a service with these labels."""
    BUILD.labels(*labels).set(1)
    for status in ("200", "404", "500"):
        REQUESTS.labels(*labels, status)

    broken = threading.Event()

    def work() -> int:
        with LATENCY.labels(*labels).time():
            with QUERIES.labels(*labels).time():
                time.sleep(dice.uniform(0.001, 0.005))
            (HITS if dice.random() < CACHE_HIT_RATIO else MISSES).labels(*labels).inc()
        status = 404 if dice.random() < NOT_FOUND_RATIO else 200
        if broken.is_set() and dice.random() < FAILING_RATIO:
            status = 500
        REQUESTS.labels(*labels, str(status)).inc()
        return status

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            metrics = self.path == "/metrics"
            status, body = (200, generate_latest()) if metrics else (work(), b"done\n")
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST if metrics else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            if self.path == "/break":
                broken.set()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Keep quiet about what went well."""

    return Handler


def send_traffic(port: int, requests_per_s: float) -> None:
    """Ask for work at a steady rate, for ever."""
    due = time.monotonic()
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/work")
        connection.getresponse().read()
        connection.close()
        due += 1 / requests_per_s
        time.sleep(max(0.0, due - time.monotonic()))


def main() -> None:
    """Serve until stopped."""
    chosen = options()
    labels = (chosen.product, chosen.service, chosen.version)
    server = ThreadingHTTPServer(("127.0.0.1", chosen.port), handler(labels, random.Random(chosen.port)))
    threading.Thread(target=send_traffic, args=(chosen.port, chosen.requests_per_s), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
