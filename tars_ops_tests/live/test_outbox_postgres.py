"""The outbox in a real PostgreSQL: the same promises as in a file, with several writers and a server that dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from tars_ops.adapters.alerts.notice import AlertState
from tars_ops.adapters.alerts.outbox import Outbox, Settled
from tars_ops.core.errors import OutboxError
from tars_ops.core.verdict import Severity
from tars_ops_tests.adapters.alerts.factories import NOW, RELEASE, Listener, alert, courier, later, many
from tars_ops_tests.live.postgres import PASSWORD, Cluster, postgres
from tars_ops_tests.live.servers import require_module

pytestmark = pytest.mark.live

CLAIM_FORTY = """
import sys
from datetime import UTC, datetime
from tars_ops.adapters.alerts.outbox import Outbox
outbox = Outbox.open(sys.argv[1])
now = datetime(2025, 11, 20, tzinfo=UTC)
print(sum(outbox.claim(f"day_{n:02d}", now=now) for n in range(40)))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    require_module("psycopg2")
    with postgres() as running:
        yield running


def test_processes_that_open_a_new_outbox_at_once_claim_each_key_once(cluster: Cluster) -> None:
    command = [sys.executable, "-c", CLAIM_FORTY, cluster.url]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    claimed = [int(one.communicate(timeout=60)[0]) for one in running]

    assert [one.returncode for one in running] == [0, 0, 0, 0]
    assert sum(claimed) == 40


def test_alerts_fire_change_and_resolve_and_each_is_told_once(cluster: Cluster) -> None:
    with closing(Outbox.open(cluster.url)) as outbox:
        listener = Listener(batch=100)
        first = outbox.settle(RELEASE, [*many(50), alert("a")], now=NOW, basis="one")
        courier(outbox, listener).deliver(now=NOW)
        again = outbox.settle(RELEASE, [*many(50), alert("a")], now=NOW, basis="one")
        worse = outbox.settle(RELEASE, [alert("a", severity=Severity.CRITICAL)], now=later(60), basis="two")
        courier(outbox, listener).deliver(now=later(60))
        standing = outbox.standing(now=later(60), release=RELEASE)
        bases, firing = outbox.bases(), outbox.firing(RELEASE)

    assert (first, again) == (Settled(n_new=51), Settled())
    assert worse == Settled(n_changed=1, n_resolved=50)
    assert [one.alert.service for one in standing if one.state is AlertState.FIRING] == ["a"]
    assert ([one.service for one in firing], bases[RELEASE]) == (["a"], "two")
    assert len(listener.taken) == 51 + 51


def test_a_server_that_dies_is_an_error_with_a_name_and_loses_nothing(cluster: Cluster) -> None:
    with closing(Outbox.open(cluster.url)) as outbox:
        outbox.settle("kept@1", [alert("a", release="kept@1")], now=NOW)
        cluster.kill()
        with pytest.raises(OutboxError) as refused:
            outbox.firing("kept@1")
        cluster.start()
        kept = outbox.firing("kept@1")

    assert PASSWORD not in str(refused.value)
    assert "127.0.0.1" in str(refused.value)
    assert [one.service for one in kept] == ["a"]
