"""How does a test get a real server, and how is it sure to get rid of it?

Belongs here: finding binaries and ports, starting, waiting, stopping. What the servers hold is made in
``history.py``; what they are asked is each test's own business.
"""

import contextlib
import http.client
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

READY_DEADLINE_S = 30.0
STOP_DEADLINE_S = 10.0
POLL_S = 0.05
NOBODY = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
NO_TARGETS = "global: {scrape_interval: 60s}\nscrape_configs: []\n"
# A shell may leave interrupts ignored in what it starts in the background, and children inherit that.
DEFAULT_SIGNALS = ("env", "--default-signal=INT,TERM,HUP,QUIT,PIPE")


class ServerError(RuntimeError):
    """A server died or was not ready in time; the message holds the end of what it wrote."""


@dataclass(frozen=True)
class ServerProcess:
    """A running server: where it listens, which process it is, where its output goes."""

    url: str
    pid: int
    log: Path


class PrometheusProcess(ServerProcess):
    """A running Prometheus."""


def require(binary: str) -> str:
    """Return the path of a program; without it skip the test, but fail where CI promises to have it."""
    return shutil.which(binary) or missing(f"{binary} is not installed: run `make servers`")


def require_module(name: str) -> None:
    """Skip the test without this Python package, but fail where CI promises to have it."""
    if importlib.util.find_spec(name) is None:
        missing(f"the Python package {name} is not installed: run `make test`")


def missing(reason: str) -> NoReturn:
    """Skip a test for what this machine lacks, but fail where CI promises to have it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def prometheus(tsdb_dir: Path, *, config: str | None = None, args: Sequence[str] = ()) -> Iterator[PrometheusProcess]:
    """Serve the blocks of ``tsdb_dir``; without ``config`` nothing is scraped.

    Equal shortest and longest blocks switch compaction off, so blocks stay as they were loaded.
    """
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="prometheus-") as own:
        config_file = Path(own, "prometheus.yml")
        config_file.write_text(config or NO_TARGETS, encoding="utf-8")
        command = [
            require("prometheus"),
            f"--config.file={config_file}",
            f"--web.listen-address={address}",
            f"--storage.tsdb.path={tsdb_dir}",
            "--storage.tsdb.retention.time=100y",
            "--storage.tsdb.min-block-duration=2h",
            "--storage.tsdb.max-block-duration=2h",
            *args,
        ]
        with serving(command, f"http://{address}", "/-/ready", Path(own, "log")) as server:
            yield PrometheusProcess(server.url, server.pid, server.log)


@contextlib.contextmanager
def alertmanager(directory: Path, *, port: int | None = None, config: str | None = None) -> Iterator[ServerProcess]:
    """Run an Alertmanager that keeps its state in ``directory``; without ``config`` it tells nobody.

    On a port of the caller's choice it can be killed and come back where it was.
    """
    address = f"127.0.0.1:{port or free_port()}"
    directory.mkdir(parents=True, exist_ok=True)
    config_file = directory / "alertmanager.yml"
    config_file.write_text(config or NOBODY, encoding="utf-8")
    command = [
        require("prometheus-alertmanager"),
        f"--config.file={config_file}",
        f"--web.listen-address={address}",
        f"--storage.path={directory / 'data'}",
        "--cluster.listen-address=",
    ]
    with serving(command, f"http://{address}", "/-/ready", directory / "log") as server:
        yield server


@contextlib.contextmanager
def node_exporter() -> Iterator[ServerProcess]:
    """Serve the metrics of this machine."""
    address = f"127.0.0.1:{free_port()}"
    command = [require("prometheus-node-exporter"), f"--web.listen-address={address}"]
    with (
        tempfile.TemporaryDirectory(prefix="node-exporter-") as own,
        serving(command, f"http://{address}", "/", Path(own, "log")) as server,
    ):
        yield server


@contextlib.contextmanager
def instrumented_process(
    *, product: str = "tars", service: str = "gateway", version: str = "1.0.1", requests_per_s: float = 20.0
) -> Iterator[ServerProcess]:
    """Run a small product that measures itself under steady traffic.

    ``/metrics`` shows what it counted, and its version; after ``/break`` half of its answers are errors.
    """
    port = free_port()
    command = [
        sys.executable,
        str(Path(__file__).with_name("instrumented.py")),
        f"--port={port}",
        f"--product={product}",
        f"--service={service}",
        f"--version={version}",
        f"--requests-per-s={requests_per_s}",
    ]
    with (
        tempfile.TemporaryDirectory(prefix="instrumented-") as own,
        serving(command, f"http://127.0.0.1:{port}", "/metrics", Path(own, "log")) as server,
    ):
        yield server


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    url: str,
    ready_path: str,
    log: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    deadline_s: float = READY_DEADLINE_S,
) -> Iterator[ServerProcess]:
    """Start a server in a session of its own, hand it over when it is ready, stop it whatever happens."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*DEFAULT_SIGNALS, *command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            _await_ready(process, url, ready_path, log, deadline_s)
            yield ServerProcess(url, process.pid, log)
        finally:
            _stop(process)


def _await_ready(process: subprocess.Popen[bytes], url: str, path: str, log: Path, deadline_s: float) -> None:
    deadline = time.monotonic() + deadline_s
    while not _answers_ok(url, path):
        if process.poll() is not None:
            _give_up(f"{url} ended with status {process.returncode}", log)
        if time.monotonic() > deadline:
            _give_up(f"{url}{path} was not ready within {deadline_s:.0f} s", log)
        time.sleep(POLL_S)


def _give_up(what: str, log: Path) -> NoReturn:
    msg = f"{what}; it wrote:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}"
    raise ServerError(msg)


def _answers_ok(url: str, path: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, then end what is left of its session."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_DEADLINE_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
