"""What a query meets between this program and a metrics server, over real sockets."""

from __future__ import annotations

import gzip
import math
import random
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.adapters.prometheus.client import Credentials, Limits, PrometheusServer, Reply, ServerBuild
from tars_ops.adapters.prometheus.connection import GuardedAdapter, Line, _Guarded
from tars_ops.adapters.prometheus.exchange import Quote, exchange
from tars_ops.adapters.prometheus.grid import Grid
from tars_ops.core.errors import (
    ConfigurationError,
    ContractError,
    NoPermissionError,
    QueryRefusedError,
    SourceError,
    SourceUnavailableError,
    TarsOpsError,
)
from tars_ops_tests.adapters.prometheus import fake_server as fake
from tars_ops_tests.adapters.prometheus.fake_server import Behaviour, Call, FakeServer, says
from tars_ops_tests.live.servers import require

QUICK = Limits(deadline_s=5, attempts=4, backoff_initial_s=0.005, backoff_max_s=0.02)
SHORT_S = 0.5
SHORT = Limits(deadline_s=SHORT_S, attempts=1000, backoff_initial_s=0.02, backoff_max_s=0.1)
GOOD = says(fake.vector(fake.one("42")))
TOKEN = "tok-Zq8vJ2mN4xRw"
PASSWORD = "pass-Lk3hT9bYc7Ue"


def ask(server: FakeServer, query: str = "up", *, limits: Limits = QUICK, **secrets: str) -> Reply:
    with PrometheusServer(server.url, credentials=Credentials(**secrets), limits=limits) as prometheus:
        return prometheus.instant(query, at_ms=1500)


def asked(*script: Behaviour, query: str = "up", limits: Limits = QUICK) -> tuple[Reply, list[Call]]:
    with FakeServer(script) as server:
        return ask(server, query, limits=limits), server.calls


def refused(
    kind: type[TarsOpsError], *script: Behaviour, query: str = "up", limits: Limits = QUICK
) -> tuple[str, list[Call]]:
    with FakeServer(script) as server, pytest.raises(kind) as raised:
        ask(server, query, limits=limits)

    assert raised.type is kind
    return str(raised.value), server.calls


# Time


@pytest.mark.parametrize("behaviour", [fake.is_silent, fake.drips, fake.drips_headers])
def test_a_server_that_never_finishes_is_left_at_the_deadline(behaviour: Behaviour) -> None:
    began_s = time.monotonic()

    message, calls = refused(SourceUnavailableError, behaviour, limits=SHORT)

    assert SHORT_S <= time.monotonic() - began_s <= SHORT_S + 1
    # whichever clock is read first on a busy machine: the watcher's, or the socket's own
    assert "no complete answer" in message or "TimeoutError" in message
    assert len(calls) == 1


def test_a_drip_on_a_connection_that_was_good_before_ends_at_the_deadline_too() -> None:
    with FakeServer([GOOD, fake.drips]) as server, PrometheusServer(server.url, limits=SHORT) as prometheus:
        prometheus.instant("up", at_ms=0)
        began_s = time.monotonic()
        with pytest.raises(SourceUnavailableError):
            prometheus.instant("up", at_ms=0)
        elapsed_s = time.monotonic() - began_s

        assert elapsed_s <= SHORT_S + 1
        assert server.calls[0].wire is server.calls[1].wire
        assert exchanges_end_within(1.0)


def test_a_silent_tls_handshake_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        began_s = time.monotonic()
        with PrometheusServer(url, limits=SHORT) as prometheus, pytest.raises(SourceUnavailableError):
            prometheus.instant("up", at_ms=0)
        elapsed_s = time.monotonic() - began_s

        assert elapsed_s <= SHORT_S + 1
        assert exchanges_end_within(1.0)


def test_a_connection_made_after_the_deadline_is_cut_at_once() -> None:
    line = Line()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line.cut()
        line.watch(ours)

        theirs.settimeout(1)
        assert theirs.recv(1) == b""


def test_an_exchange_never_keeps_the_program_alive() -> None:
    alive: list[bool] = []

    def looks(call: Call) -> None:
        alive.extend(not thread.daemon for thread in threading.enumerate() if thread.name == "prometheus-exchange")
        GOOD(call)

    asked(looks)

    assert alive == [False]


def exchanges_end_within(limit_s: float) -> bool:
    end_s = time.monotonic() + limit_s
    while any(thread.name == "prometheus-exchange" for thread in threading.enumerate()):
        if time.monotonic() > end_s:
            return False
        time.sleep(0.01)
    return True


def test_an_abandoned_exchange_does_not_delay_the_end_of_the_program() -> None:
    program = """
import sys
from tars_ops.adapters.prometheus.client import Limits, PrometheusServer
from tars_ops.core.errors import SourceUnavailableError
try:
    PrometheusServer(sys.argv[1], limits=Limits(deadline_s=0.3)).instant("up", at_ms=0)
except SourceUnavailableError:
    print("left in time")
"""
    with FakeServer([fake.drips]) as server:
        done = subprocess.run(  # noqa: PLW1510
            [sys.executable, "-W", "error::ResourceWarning", "-c", program, server.url],
            capture_output=True,
            text=True,
            timeout=10,
        )

    assert (done.returncode, done.stdout, done.stderr) == (0, "left in time\n", "")


def test_the_deadline_spans_all_requests_of_a_long_range() -> None:
    def slow(call: Call) -> None:
        call.closing.wait(0.2)
        measures(call)

    limits = Limits(deadline_s=SHORT_S, max_points=1)
    began_s = time.monotonic()
    with FakeServer([slow]) as server, pytest.raises(SourceUnavailableError):
        ranged(server, Grid(0, 60_000, 1000), limits)

    assert time.monotonic() - began_s <= SHORT_S + 1


# Trying again


@pytest.mark.parametrize(
    "failure",
    [
        *(says("overloaded", status) for status in (429, 500, 502, 503, 504)),
        fake.resets,
        fake.breaks_off,
        fake.breaks_off_chunked,
        fake.breaks_off_unannounced,
    ],
)
def test_a_passing_failure_is_tried_again(failure: Behaviour) -> None:
    reply, calls = asked(failure, failure, GOOD)

    assert reply.series[0].values.tolist() == [42]
    assert len(calls) == 3


def test_attempts_are_counted_and_the_last_reason_is_told() -> None:
    error = {"status": "error", "errorType": "internal", "error": "head block is broken"}

    message, calls = refused(SourceUnavailableError, says(error, 500), query="sum(up)")

    assert len(calls) == QUICK.attempts
    assert "4 attempts" in message
    assert "HTTP 500, internal: head block is broken" in message
    assert "sum(up)" in message


def test_trying_again_stops_at_the_deadline() -> None:
    began_s = time.monotonic()

    message, calls = refused(SourceUnavailableError, says("no", 503), limits=SHORT)

    assert time.monotonic() - began_s <= SHORT_S + 1
    assert 3 < len(calls) < 100
    assert "too little of 0.5 s is left" in message


def test_a_pause_that_would_outlast_the_deadline_is_not_begun() -> None:
    began_s = time.monotonic()

    _, calls = refused(SourceUnavailableError, says("no", 503), limits=Limits(deadline_s=1, backoff_initial_s=3))

    assert time.monotonic() - began_s < 1
    assert len(calls) == 1


def test_a_refused_connection_is_unavailability() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with PrometheusServer(url, limits=QUICK) as prometheus, pytest.raises(SourceUnavailableError) as raised:
        prometheus.instant("up", at_ms=0)

    assert url in str(raised.value)
    assert "Connection refused" in str(raised.value)
    assert "4 attempts" in str(raised.value)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
def test_a_name_that_does_not_resolve_is_unavailability(host: str) -> None:
    server = PrometheusServer(f"http://{host}:9090", limits=SHORT)

    with server, pytest.raises(SourceUnavailableError, match=host):
        server.instant("up", at_ms=0)


def test_a_server_that_fails_three_times_in_ten_still_answers_every_query() -> None:
    dice = random.Random(11)
    failures = [says("no", 500), says("no", 503), fake.resets, fake.breaks_off]
    script = [dice.choice(failures) if dice.random() < 0.3 else GOOD for _ in range(400)]
    with (
        FakeServer(script) as server,
        PrometheusServer(server.url, limits=Limits(backoff_initial_s=0.001)) as prometheus,
    ):
        replies = [prometheus.instant("up", at_ms=1500) for _ in range(200)]

        assert len({reply.sha256 for reply in replies}) == 1
        assert 250 < len(server.calls) < 350


def test_trying_again_makes_no_noise(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    asked(says("no", 500), GOOD)

    assert tuple(capfd.readouterr()) == ("", "")
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


@pytest.mark.parametrize("addresses", [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")])
def test_a_name_with_several_addresses_is_tried_at_each(addresses: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = _Guarded("localhost", listener.getsockname()[1])
        with connection._connect_to_first(addresses) as sock:
            assert sock.getpeername() == listener.getsockname()
        assert connection.host == "localhost"


def test_a_server_that_asks_to_wait_is_left_alone_for_as_long() -> None:
    arrivals: list[float] = []

    def overloaded(call: Call) -> None:
        arrivals.append(time.monotonic())
        says("slow down", 429, {"Retry-After": "1"})(call)

    def rested(call: Call) -> None:
        arrivals.append(time.monotonic())
        GOOD(call)

    asked(overloaded, rested)

    assert 1.0 <= arrivals[1] - arrivals[0] < 1.5


def test_a_date_to_come_back_is_obeyed() -> None:
    until_s = math.ceil(time.time()) + 1

    asked(says("slow down", 503, {"Retry-After": formatdate(until_s, usegmt=True)}), GOOD)

    assert until_s <= time.time() < until_s + 1


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(deadline_s=5), "asks to wait 3600 s, more than 60 s"),
        (Limits(deadline_s=5, retry_after_cap_s=7200), "asks to wait 3600 s, too little of 5 s is left"),
    ],
)
def test_a_wait_longer_than_patience_ends_the_query_at_once(limits: Limits, told: str) -> None:
    began_s = time.monotonic()

    message, calls = refused(SourceUnavailableError, says("no", 429, {"Retry-After": "3600"}), limits=limits)

    assert told in message
    assert len(calls) == 1
    assert time.monotonic() - began_s < 1


@pytest.mark.parametrize(
    "junk",
    ["-5", "0", "soon", "", "1e3", "9" * 5000, "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 99 Foo 2024 99:99:99 GMT", "inf"],
)
def test_a_senseless_wait_is_ignored(junk: str) -> None:
    began_s = time.monotonic()

    _, calls = asked(says("no", 429, {"Retry-After": junk}), GOOD)

    assert len(calls) == 2
    assert time.monotonic() - began_s < 1


# What the server refuses


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_tried_once_and_name_the_variables_to_set(status: int) -> None:
    message, calls = refused(NoPermissionError, says("who are you", status))

    assert len(calls) == 1
    assert "TARS_OPS_PROMETHEUS_TOKEN" in message
    assert "TARS_OPS_PROMETHEUS_USER" in message


@pytest.mark.parametrize(("status", "kind"), [(400, "bad_data"), (422, "execution"), (200, "bad_data")])
def test_a_refused_query_carries_the_words_of_the_server(status: int, kind: str) -> None:
    words = "1:4: parse error:\x1b[31m unexpected end\n" + "x" * 5000
    body = {"status": "error", "errorType": kind, "error": words}

    message, calls = refused(QueryRefusedError, says(body, status), query='up{job="a"}')

    assert len(calls) == 1
    assert f"HTTP {status}, {kind}: 1:4: parse error: [31m unexpected end" in message
    assert 'up{job="a"}' in message
    assert len(message) < 1000
    assert message.isprintable()


@pytest.mark.parametrize("data", [{}, {"data": {"resultType": "vector", "result": []}}])
def test_an_error_inside_http_200_is_never_an_empty_reply(data: Mapping[str, Any]) -> None:
    body = {"status": "error", "errorType": "internal", "error": "store gateway lost", **data}

    message, calls = refused(SourceError, says(body))

    assert "store gateway lost" in message
    assert len(calls) == 1


def test_no_api_at_the_address_is_said_with_the_address() -> None:
    with FakeServer([says("404 page not found", 404)]) as server, pytest.raises(SourceError) as raised:
        ask(server)

    assert f"{server.url}: no Prometheus API" in str(raised.value)


def test_a_login_page_is_an_error_that_shows_only_its_beginning() -> None:
    page = "<html><body>Please log in" + "private " * 1000

    message, _ = refused(SourceError, says(page, headers={"Content-Type": "text/html"}))

    assert "<html><body>Please log in" in message
    assert message.count("private") < 10


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    with FakeServer([GOOD]) as third:
        elsewhere = f"{third.url}/api/v1/query?session=abc123"

        message, calls = refused(SourceError, says(b"x" * 200_000, status, {"Location": elsewhere}))

        assert third.calls == []
    assert len(calls) == 1
    assert "to host 'localhost'" in message
    assert "abc123" not in message


def test_a_redirect_with_an_endless_body_is_not_read_to_its_end() -> None:
    def endless(call: Call) -> None:
        fake.begin(call, 302, {"Location": "http://localhost/", "Content-Length": str(2**31)})
        pour(call)

    message, calls = refused(SourceError, endless)

    assert "HTTP 302" in message
    assert calls[0].n_bytes_sent < 2**25


def pour(call: Call) -> None:
    while not call.closing.is_set():
        call.send(bytes(2**16))


# Size


@pytest.mark.parametrize("headers", [{"Content-Length": str(2**31)}, {"Connection": "close"}])
def test_an_oversize_answer_is_refused_without_reading_it_all(headers: Mapping[str, str]) -> None:
    def oversize(call: Call) -> None:
        fake.begin(call, 200, headers)
        pour(call)

    message, calls = refused(SourceError, oversize, limits=Limits(deadline_s=10, max_bytes=2**20))

    assert "larger than 1048576 bytes" in message
    assert len(calls) == 1
    assert calls[0].n_bytes_sent < 2**25


def test_an_announced_size_is_refused_before_the_body_comes() -> None:
    def announces(call: Call) -> None:
        fake.begin(call, 200, {"Content-Length": str(2**31)})
        fake.is_silent(call)

    message, _ = refused(SourceError, announces, limits=SHORT)

    assert "larger than" in message


@pytest.mark.parametrize("layers", [1, 2])
def test_a_gzip_bomb_is_defused(layers: int) -> None:
    bomb = bytes(2**26)
    for _ in range(layers):
        bomb = gzip.compress(bomb, 1)
    answer = says(bomb, headers={"Content-Encoding": ", ".join(["gzip"] * layers)})
    tracemalloc.start()
    try:
        message, _ = refused(SourceError, answer, limits=Limits(max_bytes=2**20))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "larger than 1048576 bytes" in message
    assert peak_bytes < 2**23


def test_compression_is_not_asked_for_but_understood() -> None:
    data = gzip.compress(b'{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}')

    reply, calls = asked(says(data, headers={"Content-Encoding": "gzip"}))

    assert reply.series[0].values.tolist() == [7]
    assert calls[0].headers["Accept-Encoding"] == "identity"


def test_broken_compression_is_an_error() -> None:
    refused(SourceError, says(b"no gzip at all", headers={"Content-Encoding": "gzip"}))


# What an answer says


def test_queries_are_posted_as_forms_to_the_api_below_the_prefix() -> None:
    query = 'rate(x{path="/a b&c=d"}[5m])'
    with FakeServer([GOOD]) as server, PrometheusServer(f"{server.url}/prefix/", limits=QUICK) as prometheus:
        prometheus.instant(query, at_ms=1_700_000_000_123)

        assert [(call.method, call.path, call.form) for call in server.calls] == [
            ("POST", "/prefix/api/v1/query", {"query": query, "time": "1700000000.123"})
        ]


def test_warnings_and_infos_are_returned_once_each_and_sorted() -> None:
    reply, _ = asked(says(fake.vector(warnings=["b", "a", "b"], infos=["z", "y", "z"])))

    assert (reply.warnings, reply.infos, reply.series) == (("a", "b"), ("y", "z"), ())


def test_numbers_arrive_bit_for_bit() -> None:
    texts = ["NaN", "+Inf", "-Inf", "-0", "0.1", "1e-320", "1.7976931348623157e308", "9007199254740993"]
    series = {"metric": {}, "values": [[1_700_000_000 + k / 1000, text] for k, text in enumerate(texts)]}
    with FakeServer([says(fake.matrix(series))]) as server:
        reply = ranged(server, Grid(1_700_000_000_000, 1_700_000_000_007, 1), QUICK)

    assert reply.series[0].values.tobytes() == np.array([float(text) for text in texts]).tobytes()
    assert reply.series[0].at_ms.tolist() == [1_700_000_000_000 + k for k in range(8)]


def test_series_and_labels_are_sorted_and_read_only() -> None:
    reply, _ = asked(says(fake.vector(fake.one(z="1", a="2"), fake.one(a="1"))))
    first, second = reply.series

    assert [dict(first.labels), list(second.labels.items())] == [{"a": "1"}, [("a", "2"), ("z", "1")]]
    with pytest.raises(TypeError):
        first.labels["a"] = "other"  # pyright: ignore[reportIndexIssue]
    with pytest.raises(ValueError, match="read-only"):
        first.values[0] = 0


def test_a_scalar_is_a_series_without_labels() -> None:
    reply, _ = asked(says(fake.success({"resultType": "scalar", "result": [1.5, "7"]})))

    assert [(dict(one.labels), one.at_ms.tolist(), one.values.tolist()) for one in reply.series] == [({}, [1500], [7])]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"metric": {"job": "a"}, "histogram": [1, {"count": "1"}]}, '{job="a"} holds native histograms'),
        ({"metric": {"job": "a"}, "value": [1, "1"], "histograms": []}, '{job="a"} holds native histograms'),
        ({"metric": {"job": "a"}}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": "a"}, "value": [1, None]}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": "a"}, "value": [1, 2]}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": "a"}, "value": [1, "two"]}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": "a"}, "value": [True, "1"]}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": "a"}, "value": [math.nan, "1"]}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": "a"}, "value": [10**400, "1"]}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": "a"}, "value": [1, "1", "1"]}, '{job="a"} holds samples that cannot be read'),
        ({"metric": {"job": 1}, "value": [1, "1"]}, "no valid label set"),
        ({"metric": {"job": "\ud800"}, "value": [1, "1"]}, "no valid label set"),
        ({"value": [1, "1"]}, "no valid label set"),
        ([1, "1"], "no valid label set"),
    ],
)
def test_a_series_that_is_not_numbers_is_refused_by_name(entry: Any, told: str) -> None:
    message, calls = refused(SourceError, says(fake.vector(entry)))

    assert told in message
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (fake.matrix(), "'matrix' where a vector is needed"),
        (fake.success({"resultType": "string", "result": [1, "a"]}), "'string' where a vector is needed"),
        (fake.success({"resultType": "vector"}), "not a list of series"),
        (fake.success([]), "the answer has no data"),
        ({"status": "success"}, "the answer has no data"),
        ({"data": {"resultType": "vector", "result": []}}, "no answer of a Prometheus API"),
        ([], "no answer of a Prometheus API"),
        (b"\xff\xfe\x00", "no answer of a Prometheus API"),
        (b"", "no answer of a Prometheus API"),
        (b"[" * 100_000, "no answer of a Prometheus API"),
        (fake.vector(warnings="partial"), "warnings are not a list"),
        (fake.vector(infos=[1]), "infos are not a list"),
    ],
)
def test_an_answer_of_another_shape_is_refused(body: Any, told: str) -> None:
    message, calls = refused(SourceError, says(body))

    assert told in message
    assert len(calls) == 1


def test_label_sets_that_occur_twice_are_refused_by_name() -> None:
    body = fake.vector(fake.one("1", job="a", env="x"), fake.one("2", env="x", job="a"), fake.one("3", job="b"))

    message, _ = refused(SourceError, says(body))

    assert '1 label sets occur more than once: {env="x", job="a"}' in message


@pytest.mark.parametrize(
    ("instants", "told"),
    [([0, 2, 2], "do not increase"), ([2, 0], "do not increase"), ([0.5], "other instants"), ([4], "other instants")],
)
def test_instants_that_were_not_asked_for_are_refused(instants: Sequence[float], told: str) -> None:
    series = {"metric": {"job": "a"}, "values": [[instant, "1"] for instant in instants]}

    with FakeServer([says(fake.matrix(series))]) as server, pytest.raises(SourceError, match=told):
        ranged(server, Grid(0, 3000, 1000), QUICK)


# Long ranges


def measures(call: Call) -> None:
    """Answer a range query by a function of time; a third of one series is missing, keys come in any order."""
    start_ms, end_ms, step_ms = (round(float(call.form[name]) * 1000) for name in ("start", "end", "step"))
    samples = [[at_ms / 1000, reading(at_ms)] for at_ms in range(start_ms, end_ms + 1, step_ms)]
    whole = {"metric": {"job": "a", "kind": "whole"}, "values": samples}
    gappy = {"values": [pair for pair in samples if int(pair[0]) % 3], "metric": {"kind": "gappy", "job": "a"}}
    found = [series for series in (whole, gappy) if series["values"]]
    random.Random(start_ms).shuffle(found)
    says(fake.matrix(*found, warnings=[f"warned at {start_ms % 2}"]))(call)


def reading(at_ms: int) -> str:
    return "NaN" if at_ms % 7000 == 0 else "+Inf" if at_ms % 11_000 == 0 else repr(math.sin(at_ms))


def ranged(server: FakeServer, grid: Grid, limits: Limits) -> Reply:
    with PrometheusServer(server.url, limits=limits) as prometheus:
        return prometheus.range("x", start_ms=grid.start_ms, end_ms=grid.end_ms, step_ms=grid.step_ms)


@pytest.mark.parametrize(
    ("n_points", "max_points", "n_requests"),
    [(1, 1, 1), (2, 1, 2), (7, 7, 1), (8, 7, 2), (14, 7, 2), (15, 7, 3), (100, 9, 12)],
)
@pytest.mark.parametrize("rest_ms", [0, 999])
def test_a_range_in_pieces_equals_the_range_in_one(
    n_points: int, max_points: int, n_requests: int, rest_ms: int
) -> None:
    start_ms = 1_700_000_000_123
    grid = Grid(start_ms, start_ms + (n_points - 1) * 1000 + rest_ms, 1000)
    with FakeServer([measures]) as server:
        whole = ranged(server, grid, QUICK)
        n_calls = len(server.calls)
        cut = ranged(server, grid, Limits(max_points=max_points))
        forms = [call.form for call in server.calls[n_calls:]]

    assert n_calls == 1
    assert len(forms) == n_requests
    assert all(Grid(*map(in_ms, (f["start"], f["end"], f["step"]))).n_points <= max_points for f in forms)
    assert cut.sha256 == whole.sha256
    for one, other in zip(cut.series, whole.series, strict=True):
        assert one.labels == other.labels
        assert one.at_ms.tobytes() == other.at_ms.tobytes()
        assert one.values.tobytes() == other.values.tobytes()
    assert cut.series[-1].at_ms.tolist() == [start_ms + 1000 * k for k in range(n_points)]


def in_ms(seconds: str) -> int:
    return round(float(seconds) * 1000)


def test_the_warnings_of_all_pieces_are_united() -> None:
    with FakeServer([measures]) as server:
        reply = ranged(server, Grid(0, 9, 1), Limits(max_points=3))

    assert reply.warnings == ("warned at 0", "warned at 1")


def test_a_failure_in_the_middle_of_a_long_range_changes_nothing() -> None:
    with FakeServer([measures, fake.resets, measures, says("no", 503), measures]) as server:
        troubled = ranged(server, Grid(0, 20_000, 1000), Limits(max_points=6, backoff_initial_s=0.001))
        untroubled = ranged(server, Grid(0, 20_000, 1000), QUICK)

    assert troubled.sha256 == untroubled.sha256


def test_the_digest_tells_contents_apart() -> None:
    bodies = [
        fake.vector(fake.one("1", a="b")),
        fake.vector(fake.one("1", a="c")),
        fake.vector(fake.one("2", a="b")),
        fake.vector({"metric": {"a": "b"}, "value": [2, "1"]}),
        fake.vector(fake.one("1", a="b"), fake.one("1")),
        fake.vector(),
    ]

    digests = [asked(says(body))[0].sha256 for body in bodies]

    assert len(set(digests)) == len(bodies)


@given(
    start_ms=st.integers(-(10**6), 2 * 10**12),
    span_ms=st.integers(0, 5000),
    step_ms=st.integers(1, 700),
    max_points=st.integers(1, 50),
)
def test_pieces_hold_every_instant_once_and_in_order(
    start_ms: int, span_ms: int, step_ms: int, max_points: int
) -> None:
    whole = Grid(start_ms, start_ms + span_ms, step_ms)

    pieces = whole.pieces(max_points)

    instants = [t for piece in pieces for t in range(piece.start_ms, piece.end_ms + 1, step_ms)]
    assert instants == list(range(whole.start_ms, whole.end_ms + 1, step_ms))
    assert all(piece.n_points <= max_points for piece in pieces)
    assert len(pieces) == -(-whole.n_points // max_points)


@pytest.mark.parametrize("bounds", [(0, 10, 0), (0, 10, -1), (10, 9, 1)])
def test_a_range_without_instants_is_a_defect_of_the_caller(bounds: tuple[int, int, int]) -> None:
    with PrometheusServer("http://localhost:9") as server, pytest.raises(ContractError):
        server.range("up", start_ms=bounds[0], end_ms=bounds[1], step_ms=bounds[2])


@pytest.mark.parametrize("query", ["x @ end()", "x @start( )", "sum(x @  end ())"])
def test_a_query_bound_to_the_ends_of_its_range_is_not_cut(query: str) -> None:
    with FakeServer([measures]) as server, PrometheusServer(server.url, limits=Limits(max_points=5)) as prometheus:
        prometheus.range(query, start_ms=0, end_ms=4000, step_ms=1000)
        with pytest.raises(QueryRefusedError, match="2 requests"):
            prometheus.range(query, start_ms=0, end_ms=5000, step_ms=1000)

        assert len(server.calls) == 1


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "ftp://localhost",
        "file:///etc/passwd",
        "localhost:9090",
        "//localhost:9090",
        "",
        "http://",
        "http://:9090",
        "http://localhost:99999",
        "http://localhost:port",
        "http://[::1",
        "http://loc alhost",
        "http://localhost\n",
        "http://localhost\\@example.org",
        "http://localhost/?match=x",
        "http://localhost/?",
        "http://localhost/#part",
        "http://прометей:9090",
        "http://%31%36%39.254.169.254",
    ],
)
def test_an_address_that_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TARS_OPS_SOURCE"):
        PrometheusServer(url)


@pytest.mark.parametrize(
    "url", [f"http://admin:{PASSWORD}@localhost", f"https://{PASSWORD}@localhost/x", "http://@host"]
)
def test_credentials_in_the_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TARS_OPS_PROMETHEUS_TOKEN") as raised:
        PrometheusServer(url)

    assert PASSWORD not in str(raised.value)


FORBIDDEN = [
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[fe80::1]",
    "[febf::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
    "0.0.0.0",
    "0",
    "[::]",
    "[::ffff:0.0.0.0]",
    "224.0.0.1",
    "239.255.255.255",
    "[ff02::1]",
]


@pytest.mark.parametrize("host", FORBIDDEN)
def test_link_local_metadata_multicast_and_unspecified_addresses_are_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="link-local, metadata, multicast or unspecified"):
        PrometheusServer(f"http://{host}:80/latest/meta-data")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "10.1.2.3", "192.168.0.1", "172.16.0.1", "[fd00::1]", "2130706433"]
)
def test_loopback_and_private_addresses_are_welcome(host: str) -> None:
    PrometheusServer(f"http://{host}:9090").close()


@pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0", "[::ffff:0.0.0.0]"])
def test_what_a_name_resolves_to_is_judged_again_at_each_connection(host: str) -> None:
    with FakeServer([GOOD]) as server, requests.Session() as session:
        session.mount("http://", GuardedAdapter())
        url = f"http://{host}:{server.url.rpartition(':')[2]}"
        request = session.prepare_request(requests.Request("GET", url))
        with pytest.raises(ConfigurationError, match="link-local"):
            exchange(session, request, server=url, left_s=1, connect_s=1, max_bytes=1, quote=Quote())

        assert server.calls == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine localhost login me password {PASSWORD}\n")
    with FakeServer([GOOD]) as proxy, FakeServer([GOOD]) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("NETRC", str(netrc))
        ask(server)

        assert (len(proxy.calls), len(server.calls)) == (0, 1)
        assert "Authorization" not in server.calls[0].headers


# Credentials


@pytest.mark.parametrize(
    ("secrets", "header"),
    [
        ({"token": TOKEN}, f"Bearer {TOKEN}"),
        ({"user": "me", "password": "p:ß"}, "Basic bWU6cDrDnw=="),
        ({"user": "me"}, "Basic bWU6"),
        ({"token": "", "user": ""}, None),
    ],
)
def test_credentials_travel_in_one_header(secrets: Mapping[str, str], header: str | None) -> None:
    with FakeServer([GOOD]) as server:
        ask(server, **secrets)

        assert server.calls[0].headers.get("Authorization") == header


@pytest.mark.parametrize(
    ("secrets", "variable"),
    [
        ({"token": f"{TOKEN}\n"}, "TOKEN"),
        ({"token": f"{TOKEN} x"}, "TOKEN"),
        ({"token": "tökén"}, "TOKEN"),
        ({"token": TOKEN, "user": "me"}, "TOKEN"),
        ({"password": PASSWORD}, "PASSWORD"),
        ({"user": "a:b", "password": PASSWORD}, "USER"),
        ({"key": __file__}, "KEY"),
        ({"ca": "/no/such/file"}, "CA"),
        ({"cert": "/no/such/file"}, "CERT"),
    ],
)
def test_credentials_that_cannot_work_are_refused_by_variable(secrets: Mapping[str, str], variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"TARS_OPS_PROMETHEUS_{variable} ") as raised:
        Credentials(**secrets)

    assert TOKEN not in str(raised.value)
    assert PASSWORD not in str(raised.value)


def echoes(status: int) -> Behaviour:
    def answer(call: Call) -> None:
        seen = call.headers["Authorization"]
        says(
            {"status": "error", "error": "x" * 490 + seen, "errorType": seen}, status, {"Location": f"http://{seen}/"}
        )(call)

    return answer


def echoes_as_page(call: Call) -> None:
    says("<html>" + call.headers["Authorization"] * 9)(call)


def echoes_as_labels(call: Call) -> None:
    says(fake.vector({"metric": {"a": call.headers["Authorization"]}, "value": []}))(call)


@pytest.mark.parametrize(
    "behaviour",
    [*map(echoes, (200, 302, 400, 401, 404, 418, 422, 500)), echoes_as_page, echoes_as_labels, fake.resets],
)
@pytest.mark.parametrize("secrets", [{"token": TOKEN}, {"user": "me", "password": PASSWORD}])
def test_no_secret_is_in_an_error_even_if_the_server_repeats_it(
    behaviour: Behaviour, secrets: Mapping[str, str]
) -> None:
    credentials = Credentials(**secrets)
    with FakeServer([behaviour]) as server, pytest.raises(TarsOpsError) as raised:
        ask(server, **secrets)

    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert raised.value.__context__ is None
    for secret in credentials.secrets():
        assert secret[:8] not in shown
        assert secret not in repr(credentials)


def test_a_server_shows_its_address_and_no_secret() -> None:
    with PrometheusServer("http://localhost:9090/", credentials=Credentials(token=TOKEN)) as server:
        assert repr(server) == "PrometheusServer('http://localhost:9090')"


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with a key and a self-signed certificate for localhost."""
    openssl = require("openssl")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"]
    command = [openssl, "req", "-x509", "-days", "2", "-out", "cert.pem", *names, *key]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    return both


def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_of_a_known_authority_is_accepted(certificate: Path) -> None:
    with FakeServer([fake.resets, GOOD, GOOD], tls=tls_server(certificate)) as server:
        ask(server, ca=str(certificate))

        assert len(server.calls) == 2


def test_an_unknown_certificate_is_refused_at_once(certificate: Path) -> None:
    with FakeServer([GOOD], tls=tls_server(certificate)) as server, pytest.raises(SourceError) as raised:
        ask(server, limits=Limits(backoff_initial_s=1))

    assert raised.type is SourceError
    assert server.calls == []
    assert raised.value.__context__ is None
    assert "self-signed certificate" in str(raised.value)
    assert "TARS_OPS_PROMETHEUS_CA" in str(raised.value)


def test_a_certificate_for_another_name_is_refused(certificate: Path) -> None:
    with FakeServer([GOOD], tls=tls_server(certificate)) as server:
        prometheus = PrometheusServer(
            server.url.replace("localhost", "127.0.0.1"), credentials=Credentials(ca=str(certificate)), limits=QUICK
        )
        with prometheus, pytest.raises(SourceError, match="TLS failed"):
            prometheus.instant("up", at_ms=0)

        assert server.calls == []


def test_a_client_certificate_is_shown_where_it_is_asked_for(certificate: Path) -> None:
    context = tls_server(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    with FakeServer([GOOD], tls=context) as server:
        ask(server, ca=str(certificate), cert=str(certificate))
        with pytest.raises(SourceError, match="TARS_OPS_PROMETHEUS_CERT"):
            ask(server, ca=str(certificate))

        assert len(server.calls) == 1


def test_an_authority_file_that_vanished_is_a_matter_of_configuration(certificate: Path, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    shutil.copy(certificate, ca)
    with FakeServer([GOOD], tls=tls_server(certificate)) as server:
        prometheus = PrometheusServer(server.url, credentials=Credentials(ca=str(ca)), limits=QUICK)
        ca.unlink()
        with prometheus, pytest.raises(ConfigurationError, match="TARS_OPS_PROMETHEUS_CA"):
            prometheus.instant("up", at_ms=0)


# The rest


@pytest.mark.parametrize(
    ("behaviour", "build", "left_open"),
    [
        (says(fake.success({"version": "2.42.0"})), ServerBuild("prometheus", "2.42.0"), False),
        (says(fake.success({"version": "3.5.0-rc.1"})), ServerBuild("prometheus", "3.5.0-rc.1"), True),
        (says(fake.success({"version": "10.0.0"})), ServerBuild("prometheus", "10.0.0"), True),
        (says(fake.success({"version": "v3.1"})), ServerBuild("prometheus", "v3.1"), True),
        (says(fake.success({})), ServerBuild("prometheus", ""), False),
        (says("404 page not found", 404), ServerBuild("prometheus", ""), False),
        (
            says(fake.success({"application": "Grafana Mimir", "version": "3.0.1"})),
            ServerBuild("grafana mimir", "3.0.1"),
            False,
        ),
        (
            says(fake.success({"version": "2.24.0"}), headers={"X-Server-Hostname": "vm"}),
            ServerBuild("victoriametrics", "2.24.0"),
            False,
        ),
    ],
)
def test_a_server_says_which_program_it_is(behaviour: Behaviour, build: ServerBuild, *, left_open: bool) -> None:
    with FakeServer([says("no", 503), behaviour]) as server, PrometheusServer(server.url, limits=QUICK) as prometheus:
        assert prometheus.build() == build
        assert build.range_is_left_open is left_open
        assert [(call.method, call.path) for call in server.calls] == [("GET", "/api/v1/status/buildinfo")] * 2


@pytest.mark.parametrize(
    "limits", [{"deadline_s": 0}, {"deadline_s": math.nan}, {"attempts": 0}, {"max_points": 0}, {"backoff_max_s": -1}]
)
def test_limits_under_which_nothing_could_be_asked_are_refused(limits: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(limits))):
        Limits(**limits)


def test_threads_may_share_a_server() -> None:
    with FakeServer([measures]) as server, PrometheusServer(server.url, limits=Limits(max_points=3)) as prometheus:
        digests: list[str] = []

        def fetch() -> None:
            digests.append(prometheus.range("x", start_ms=0, end_ms=20_000, step_ms=1000).sha256)

        threads = [threading.Thread(target=fetch) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(digests) == 8
    assert len(set(digests)) == 1
