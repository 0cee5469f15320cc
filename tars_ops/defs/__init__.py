"""The Dagster shell: every asset loads, decides by ``core`` and reports; no arithmetic, no path, no clock.

Modules with assets do without ``from __future__ import annotations``: Dagster reads the annotations of their functions.
"""

import warnings

import dagster as dg

# adopted on purpose, pinned and held by contract tests: docs/adr/0003-partitioned-checks-and-mappings.md
warnings.filterwarnings("ignore", message="Specifying a partitions_def on an", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", message="Class `MultiToSingleDimensionPartitionMapping`", category=dg.BetaWarning)
