"""Real servers that several live tests share."""

import shutil
from collections.abc import Iterator

import pytest

from tars_ops_tests.live.history import DEMO, load_blocks, write_openmetrics
from tars_ops_tests.live.servers import PrometheusProcess, prometheus, require


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    """A Prometheus that holds the whole week of the demo."""
    require("prometheus")
    require("promtool")
    tsdb_dir, text_dir = tmp_path_factory.mktemp("demo-tsdb"), tmp_path_factory.mktemp("demo-openmetrics")
    load_blocks(write_openmetrics(DEMO, text_dir), tsdb_dir)
    shutil.rmtree(text_dir)
    with prometheus(tsdb_dir) as server:
        yield server
