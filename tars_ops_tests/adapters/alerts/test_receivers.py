"""What each kind of receiver is sent, and what its file may say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tars_ops.adapters.alerts.chat import Chat, message
from tars_ops.adapters.alerts.deployment import open_receivers
from tars_ops.adapters.alerts.ledger import Ledger
from tars_ops.adapters.alerts.notice import AlertState, Deferred, Refused, Sent
from tars_ops.adapters.alerts.receivers import AppriseConfig, load_receivers, read_receivers
from tars_ops.adapters.settings import Settings
from tars_ops.core.errors import ConfigurationError
from tars_ops.core.verdict import Severity, Verdict
from tars_ops_tests.adapters.alerts.factories import (
    NOW,
    ORIGIN,
    RELEASE,
    Desk,
    alert,
    alertmanager,
    courier,
    later,
    many,
    notice,
    outbox_at,
    says,
    serving,
    webhook,
)

PROJECT = Path(__file__).resolve().parents[3]
LIFE = {"severity": Severity.LOW, "verdict": Verdict.UNKNOWN, "day": 5, "provisional": True, "summary": "another",
        "description": "more", "evidence_sha256": None, "partition": "day_05|tars@1.0.1"}  # fmt: skip
"""Everything that may change while an alert stays the same."""


# Alertmanager


def test_an_alertmanager_gets_what_an_alert_is_as_labels_and_what_is_known_as_annotations() -> None:
    with serving(Desk()) as desk:
        outcome = alertmanager(f"{desk.url}/prefix/").send([notice()], now=NOW)
    (call,) = desk.calls
    (posted,) = call.json

    assert outcome == Sent()
    assert call.path == "/prefix/api/v2/alerts"
    assert posted == {
        "labels": {
            "alertname": "ObjectiveBroken",
            "gate": "availability_keeps_its_objective",
            "service": "checkout",
            "release": "tars@1.0.1",
            "product": "tars",
            "environment": "staging",
            "kpi": "availability",
        },
        "annotations": {
            "summary": "availability of checkout is 0.9871, promised 0.999",
            "description": "12,345 of 956,000 requests failed",
            "severity": "high",
            "verdict": "fail",
            "provisional": "false",
            "day": "2",
            "runbook_url": "https://runbooks.example/ObjectiveBroken.md",
            "verdict_url": "http://dagster:3000/assets/daily_stability?view=partitions&partition=day_02%7Ctars%401.0.1",
            "evidence_sha256": "ab" * 32,
        },
        "startsAt": "2025-11-20T00:00:00.000Z",
        "endsAt": "2025-11-22T02:30:00.000Z",
        "generatorURL": "http://dagster:3000/assets/daily_stability?view=partitions&partition=day_02%7Ctars%401.0.1",
    }


def test_nothing_that_changes_while_an_alert_is_the_same_is_a_label() -> None:
    with serving(Desk()) as desk:
        for receiver in (alertmanager(desk.url), webhook(desk.url)):
            receiver.send([notice(alert()), notice(alert(**LIFE))], now=NOW)
    labels = [one["labels"] for one in desk.alerts]

    assert labels == [labels[0]] * 4
    assert alert().identity == alert(**LIFE).identity


@pytest.mark.parametrize("since_at", [datetime(2025, 11, 20, tzinfo=UTC), NOW, later(3600)])
@pytest.mark.parametrize("resolved_at", [later(-60), NOW, later(60)])
def test_a_resolution_ends_by_now_and_after_its_start(since_at: datetime, resolved_at: datetime) -> None:
    one = notice(alert(since_at=since_at), state=AlertState.RESOLVED, resolved_at=resolved_at)
    with serving(Desk()) as desk:
        alertmanager(desk.url).send([one], now=NOW)
    starts_at, ends_at = (datetime.fromisoformat(desk.alerts[0][key]) for key in ("startsAt", "endsAt"))

    assert starts_at < ends_at <= NOW


def test_alerts_go_in_batches_of_64(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path)
    outbox.settle(RELEASE, many(130), now=NOW)
    with serving(Desk()) as desk:
        courier(outbox, alertmanager(desk.url)).deliver(now=NOW)

    assert [len(call.json) for call in desk.calls] == [64, 64, 2]


# Webhook


def test_a_webhook_gets_the_shape_that_alertmanager_sends() -> None:
    both = [notice(), notice(alert("cart"), state=AlertState.RESOLVED, resolved_at=NOW, revision=2)]
    with serving(Desk()) as desk:
        webhook(desk.url).send(both, now=NOW)
    body = desk.calls[0].json
    first, second = body.pop("alerts")

    assert set(body) == {
        *("version", "groupKey", "truncatedAlerts", "status", "receiver"),
        *("groupLabels", "commonLabels", "commonAnnotations", "externalURL"),
    }
    assert (body["version"], body["status"], body["groupKey"]) == ("4", "firing", '{}:{release="tars@1.0.1"}')
    assert (body["groupLabels"], body["truncatedAlerts"]) == ({"release": "tars@1.0.1"}, 0)
    assert "service" not in body["commonLabels"]
    assert (first["status"], first["startsAt"], first["endsAt"]) == (
        "firing",
        "2025-11-20T00:00:00.000Z",
        "0001-01-01T00:00:00Z",
    )
    assert (second["status"], second["endsAt"]) == ("resolved", "2025-11-21T00:30:00.000Z")
    assert first["fingerprint"] == alert().identity[:16]


def test_a_signature_can_be_checked_with_openssl() -> None:
    with serving(Desk()) as desk:
        webhook(desk.url).send([notice()], now=NOW)
    (call,) = desk.calls
    at_s, digest = (part.split("=")[1] for part in call.headers["X-Tars-Ops-Signature"].split(","))
    command = ["openssl", "dgst", "-sha256", "-hmac", "swordfish", "-r"]
    done = subprocess.run(command, input=f"{at_s}.".encode() + call.body, capture_output=True, check=True)

    assert done.stdout.split()[0].decode() == digest
    assert int(at_s) == NOW.timestamp()
    assert digest != hmac.new(b"swordfish", call.body, hashlib.sha256).hexdigest()


def test_the_same_notice_keeps_its_key_and_a_reminder_gets_its_own() -> None:
    with serving(Desk()) as desk:
        for one, at in ((notice(), NOW), (notice(), later(60)), (notice(told_at=NOW), later(7200))):
            webhook(desk.url).send([one], now=at)
        webhook(desk.url).send([notice(revision=2)], now=NOW)
    keys = [call.headers["Idempotency-Key"] for call in desk.calls]

    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_webhook_hears_of_a_release_in_one_request_until_it_is_too_much(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path)
    outbox.settle(RELEASE, many(230), now=NOW)
    outbox.settle("tars@2", [alert(release="tars@2")], now=later(1))
    with serving(Desk()) as desk:
        courier(outbox, webhook(desk.url)).deliver(now=later(1))

    assert [(call.json["groupLabels"]["release"], len(call.json["alerts"])) for call in desk.calls] == [
        *((RELEASE, n) for n in (100, 100, 30)),
        ("tars@2", 1),
    ]


# Answers


@pytest.mark.parametrize(
    ("status", "outcome", "divisible"),
    [
        *((status, Sent, False) for status in (200, 201, 202, 204)),
        *((status, Deferred, False) for status in (408, 425, 429, 500, 502, 503, 504, 599)),
        *((status, Refused, True) for status in (400, 413, 422)),
        *((status, Refused, False) for status in (301, 302, 307, 308, 401, 403, 404, 405, 410)),
    ],
)
def test_an_answer_means_taken_not_now_or_never(status: int, outcome: type, divisible: bool) -> None:
    with serving(Desk(says(status, {"Location": "http://127.0.0.1:1/"}, b"" if status == 204 else b"why"))) as desk:
        found = webhook(desk.url).send([notice()], now=NOW)

    assert type(found) is outcome
    assert getattr(found, "divisible", False) is divisible
    assert len(desk.calls) == 1


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/", "http://2852039166/"]
)
def test_no_receiver_is_at_an_address_of_the_machine_itself(url: str) -> None:
    with pytest.raises(ValueError, match="link-local, metadata"):
        webhook(url)


def test_a_receiver_that_answers_too_slowly_is_left_in_time() -> None:
    silent = webhook("http://127.0.0.1:1", timeout_s=0.2)
    with serving(Desk(lambda _n, _call: (__import__("time").sleep(1), (200, {}, b""))[1])) as desk:
        outcome = webhook(desk.url, timeout_s=0.2).send([notice()], now=NOW)

    assert outcome == Deferred(reason="no complete answer in the time that was left")
    assert isinstance(silent.send([notice()], now=NOW), Deferred)


# Chat


def chat(url: str) -> Chat:
    return Chat(AppriseConfig(kind="apprise", name="chat", url_env="TARS_OPS_SECRET_CHAT"), ORIGIN, url)


def test_a_chat_is_told_in_one_message_through_apprise() -> None:
    with serving(Desk()) as desk:
        outcome = chat(desk.url.replace("http", "json") + "/hook").send([notice(), notice(alert("cart"))], now=NOW)
    (call,) = desk.calls

    assert outcome == Sent()
    assert call.json["title"] == "tars@1.0.1 (staging): 2 firing"
    assert call.json["message"].splitlines()[0] == (
        "HIGH ObjectiveBroken: availability of checkout is 0.9871, promised 0.999 (fail, since 2025-11-20 00:00 UTC)"
    )
    assert "runbook: https://runbooks.example/ObjectiveBroken.md" in call.json["message"]


def test_a_long_message_counts_what_it_leaves_out_and_keeps_the_worst() -> None:
    batch = [notice(one) for one in many(30)] + [notice(alert("worst", severity=Severity.CRITICAL))]
    title, body = message(batch, ORIGIN)
    lines = body.splitlines()

    assert title == "tars@1.0.1 (staging): 31 firing"
    assert lines[0].startswith("CRITICAL")
    assert lines[20] == "and 11 more"
    assert lines[22].startswith("verdict: http://dagster:3000/")


def test_apprise_follows_no_redirect() -> None:
    with serving(Desk()) as other, serving(Desk(says(307, {"Location": other.url}))) as desk:
        outcome = chat(desk.url.replace("http", "json")).send([notice()], now=NOW)

    assert isinstance(outcome, Deferred)
    assert other.calls == []


@pytest.mark.parametrize("url", ["nonsense://x", "", "json://169.254.169.254/"])
def test_an_apprise_url_that_leads_nowhere_good_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="receiver chat"):
        chat(url)


def test_without_apprise_the_message_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['apprise'] = None\n"
        "from tars_ops_tests.adapters.alerts.test_receivers import chat\n"
        "chat('json://localhost')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "ConfigurationError: receiver chat needs apprise; install the extra: pip install 'tars-ops[notify]'" in (
        done.stderr
    )


# Secrets


def test_no_secret_is_kept_said_or_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    canary, said = "c4naryc4nary", io.StringIO()
    caplog.set_level(logging.DEBUG)
    outbox = outbox_at(tmp_path)
    outbox.settle(RELEASE, [alert()], now=NOW)
    echo = base64.b64encode(canary.encode()) + canary.encode()
    with serving(Desk(lambda _n, call: (500, {}, echo + call.path.encode()))) as desk:
        host = desk.url.removeprefix("http://")
        variables = {
            "TARS_OPS_SECRET_DESK": f"{canary}-desk",
            "TARS_OPS_SECRET_URL": f"http://{host}/{canary}?key={canary}",
            "TARS_OPS_SECRET_CHAT": f"json://user:{canary}@{host}/{canary}",
            "TARS_OPS_SECRET_TOKEN": canary,
        }
        file = tmp_path / "receivers.yaml"
        file.write_text(
            "version: 1\nreceivers:\n"
            "  - {name: hook, kind: webhook, url_env: TARS_OPS_SECRET_URL, secret_env: TARS_OPS_SECRET_DESK}\n"
            "  - {name: chat, kind: apprise, url_env: TARS_OPS_SECRET_CHAT}\n"
            f"  - {{name: am, kind: alertmanager, url: '{desk.url}', token_env: TARS_OPS_SECRET_TOKEN}}\n"
        )
        receivers = open_receivers(Settings().model_copy(update={"receivers": str(file)}), environ=variables)
        delivered = courier(outbox, *receivers).deliver(now=NOW)
    n_calls = len(desk.calls)
    print(delivered, receivers, Ledger(outbox.database).records(), outbox.standing(now=NOW), file=said)
    outbox.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("outbox.sqlite*"))

    assert (n_calls, delivered.n_deferred) == (3, 3)
    assert canary not in said.getvalue() + caplog.text
    assert canary.encode() not in stored


def test_a_secret_that_is_not_set_is_named_but_not_guessed(tmp_path: Path) -> None:
    file = tmp_path / "receivers.yaml"
    file.write_text("version: 1\nreceivers:\n  - {name: chat, kind: apprise, url_env: TARS_OPS_SECRET_CHAT}\n")
    configured = Settings().model_copy(update={"receivers": str(file)})

    with pytest.raises(ConfigurationError, match="receiver chat: TARS_OPS_SECRET_CHAT is not set"):
        open_receivers(configured, environ={})
    assert open_receivers(Settings(), environ={}) == ()


# The file


def test_the_example_is_a_receivers_file() -> None:
    found = read_receivers(PROJECT / "deploy" / "receivers.example.yaml").receivers

    assert [one.kind for one in found] == ["alertmanager", "webhook", "apprise"]


GOOD = "- {name: a, kind: alertmanager, url: 'http://x'}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: a, kind: webhok}", r"f, line 3: receivers\[0\]: .*'webhok'.*'webhook'"),
        ("- {name: a}", r"receivers\[0\]\.kind: is missing"),
        ("- {kind: alertmanager, url: 'http://x'}", r"receivers\[0\]\.name: is missing"),
        ("- {name: a, kind: alertmanager, url: 'http://u:canary@x'}", r"receivers\[0\]\.url: it holds a user"),
        ("- {name: a, kind: alertmanager, url: 'file:///etc'}", "it must begin with http"),
        ("- {name: a, kind: alertmanager, url: 'http://169.254.169.254'}", "link-local, metadata"),
        ("- {name: a, kind: alertmanager, url: 'http://x', password: canary}", "password: the key is unknown"),
        ("- {name: a, kind: alertmanager, url: 'http://x', resend_s: '60'}", r"resend_s: should be a valid number"),
        ("- {name: a, kind: alertmanager, url: 'http://x', resend_s: 0}", r"greater than or equal to 1 \(got 0\)"),
        ("- {name: a, kind: alertmanager, url: 'http://x', at_least: worst}", "'critical', 'high'"),
        ("- {name: a, kind: alertmanager, url: 'http://x', ca: /nowhere}", "ca: the file does not exist"),
        ("- {name: A b, kind: alertmanager, url: 'http://x'}", r"receivers\[0\]\.name: .*got A b"),
        (f"{GOOD}\n  {GOOD}", "the name a occurs 2 times"),
        ("- {name: a, kind: webhook, secret_env: TARS_OPS_SECRET_A}", "url and url_env exclude each other"),
        ("- {name: a, kind: webhook, url: 'http://x', secret_env: AWS_SECRET}", "begins with TARS_OPS_SECRET_"),
    ],
)
def test_a_broken_rule_names_line_key_and_rule_but_no_secret(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refusal:
        load_receivers(f"version: 1\nreceivers:\n  {text}\n".encode(), name="f")

    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize("version", ["2", "true", "'1'"])
def test_a_file_of_another_version_is_refused(version: str) -> None:
    with pytest.raises(ConfigurationError, match="version"):
        load_receivers(f"version: {version}\nreceivers: []\n".encode(), name="f")
