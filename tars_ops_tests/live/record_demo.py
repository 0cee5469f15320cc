"""Make the embedded recording: the demo's history, through a real Prometheus, into one file.

A program: ``python -m tars_ops_tests.live.record_demo OUTPUT``; `make record-demo` runs it.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from tars_ops.adapters.export import write_file
from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.prometheus.client import PrometheusServer
from tars_ops.adapters.prometheus.source import PrometheusSource
from tars_ops.adapters.recording import record
from tars_ops.core.release import Release
from tars_ops_tests.live.command import POLICIES
from tars_ops_tests.live.history import DEMO, GA_AT, load_blocks, write_openmetrics
from tars_ops_tests.live.servers import prometheus


def main(output: Path) -> None:
    """Write the recording of the demo week."""
    text = (POLICIES / "tars.yaml").read_bytes()
    policy = load_policy(text, name="policies/tars.yaml")
    release = Release(
        product="tars", version="1.0.1", ga_at=GA_AT, policy_sha256=hashlib.sha256(text).hexdigest(), n_days=7
    )
    with tempfile.TemporaryDirectory() as scratch:
        history, blocks = Path(scratch, "history"), Path(scratch, "tsdb")
        history.mkdir()
        load_blocks(write_openmetrics(DEMO, history), blocks)
        with prometheus(blocks) as server:
            source = PrometheusSource(PrometheusServer(server.url))
            data = record(source, release, policy, text, days=range(release.n_days + 1))
            source.close()
    write_file(output, data)
    print(f"{output}: {len(data)} bytes, {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
