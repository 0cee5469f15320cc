"""How does a test run the command line as a person would: a process, an environment, an exit code?"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

from tars_ops.adapters.catalogue import BY_ASSET, as_of_key
from tars_ops.adapters.store import Store
from tars_ops.core.release import day_key
from tars_ops.core.report.narrative import Narrative
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.references import ReferenceBaselines
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.stability import DailyStability
from tars_ops.core.watch.staging import StagingTelemetry

POLICIES = Path(__file__).resolve().parents[2] / "policies"


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """Standard output as one JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Home:
    """A store, an instance and a source of their own."""

    root: Path
    source: str
    policies: Path = POLICIES
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this home finds in its environment."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TARS_OPS_", "DAGSTER_"))}
        return {
            **inherited,
            "TARS_OPS_STORE": str(self.root / "store"),
            "TARS_OPS_SOURCE": self.source,
            "TARS_OPS_POLICIES": str(self.policies),
            "DAGSTER_HOME": str(self.root / "dagster"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            **self.extra,
        }

    def run(self, *args: str, timeout_s: float = 300) -> Done:
        """Run ``tars-ops`` with these arguments."""
        done = subprocess.run(
            [sys.executable, "-m", "tars_ops.cli", *args],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def call(self, *args: str) -> Done:
        """Run ``tars-ops`` with these arguments in this process: no exec, no imports, everything else."""
        from tars_ops.cli import main

        before, said, told = dict(os.environ), io.StringIO(), io.StringIO()
        try:
            os.environ.clear()
            os.environ.update(self.environment)
            with chdir(self.root), redirect_stdout(said), redirect_stderr(told):
                main(list(args))
                code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return Done(code, said.getvalue(), told.getvalue())

    @property
    def store(self) -> Store:
        """The store that the commands wrote to."""
        return Store.at(str(self.root / "store"))

    def _read(self, asset: str, release: str, at: str) -> object:
        kind = BY_ASSET[asset]
        return kind.decode(self.store.get(kind.key(release, at)))

    def telemetry(self, release: str, day: int) -> Telemetry:
        """Return what arrived of a day."""
        return self._read("daily_telemetry", release, day_key(day))  # type: ignore[return-value]

    def stability(self, release: str, day: int) -> DailyStability:
        """Return a judged day."""
        return self._read("daily_stability", release, day_key(day))  # type: ignore[return-value]

    def anomalies(self, release: str, day: int) -> AnomalyEvents:
        """Return the events of a day."""
        return self._read("anomaly_events", release, day_key(day))  # type: ignore[return-value]

    def health(self, release: str, day: int) -> DailyHealth:
        """Return the health of a day."""
        return self._read("daily_health", release, day_key(day))  # type: ignore[return-value]

    def regression(self, release: str, as_of: int) -> RegressionAnalysis:
        """Return the verdict as of a day."""
        return self._read("regression_analysis", release, as_of_key(as_of))  # type: ignore[return-value]

    def references(self, release: str) -> ReferenceBaselines:
        """Return what else than its GA day a release is compared with."""
        return self._read("reference_baselines", release, "")  # type: ignore[return-value]

    def staging(self, release: str) -> StagingTelemetry:
        """Return what is known of staging."""
        return self._read("staging_telemetry", release, "")  # type: ignore[return-value]

    def narrative(self, release: str, as_of: int) -> Narrative:
        """Return the page for leadership as of a day."""
        return self._read("executive_narrative", release, as_of_key(as_of))  # type: ignore[return-value]
