"""How does a test get a PostgreSQL cluster of its own, that it may kill and start again?"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tars_ops_tests.live.servers import free_port, missing

BINARIES = Path("/usr/lib/postgresql")
PASSWORD = "canary-7f3b"
USER = "postgres"


@dataclass(frozen=True)
class Cluster:
    """A cluster on a loopback port, stopped or running."""

    folder: Path
    binaries: Path
    port: int

    @property
    def url(self) -> str:
        """Address of its one database, password included."""
        return f"postgresql+psycopg2://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self.run(
            "pg_ctl", "start", "-w", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-o", options
        )

    def kill(self) -> None:
        """Stop it as a power cut would."""
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", str(self.folder / "data"))

    def run(self, program: str, *args: str) -> None:
        """Run a program of PostgreSQL; it refuses to work as root."""
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"] if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_user, str(self.binaries / program), *args],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        if done.returncode:
            log = self.folder / "log"
            msg = f"{program} failed: {log.read_text() if log.exists() else done.returncode}"
            raise RuntimeError(msg)


@contextlib.contextmanager
def postgres() -> Iterator[Cluster]:
    """Make a cluster, start it, and remove it whatever happens."""
    found = sorted(BINARIES.glob("*/bin/initdb"))
    if not found:
        missing("postgresql is not installed: run `make servers`")
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    cluster = Cluster(folder, found[-1].parent, free_port())
    try:
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, USER, USER)
        cluster.run(
            "initdb",
            "-D",
            str(folder / "data"),
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(folder / "password"),
        )
        cluster.start()
        yield cluster
    finally:
        with contextlib.suppress(RuntimeError):
            cluster.kill()
        shutil.rmtree(folder, ignore_errors=True)
