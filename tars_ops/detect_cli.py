"""``tars-ops detect``: what does the detector say about data of one's own?"""

from __future__ import annotations

from pathlib import Path

import click

from tars_ops.core.errors import ContractError, UsageError


@click.command()
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results."
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    default=None,
    help="Calm history with the same columns to learn from first: a file, or a folder with the same relative paths.",
)
@click.option(
    "--false-alarms-per-day",
    type=click.FloatRange(0, 1, min_open=True),
    default=None,
    help="Alarms that a calm series may raise a day; default: that of the policies.",
)
def detect(source: Path, output: Path, baseline: Path | None, false_alarms_per_day: float | None) -> None:
    """Score each row of INPUT, a CSV file, a folder of them or a Parquet file, with the detector that judges releases.

    A file has the column `timestamp` (`2014-02-14 14:30:00` is UTC; ISO 8601; Unix seconds) and one column per KPI;
    the rows of several KPIs are scored jointly. The result has the same name below --output, every row in its place and
    untouched, and two more columns: `score` from 0 to 1, made from the row and rows of earlier times alone, and
    `event`, 1 where the row raises an alarm. A row of which nothing can be said - no value, or too little before it -
    has score 0 and event 0.

    Rows may come at uneven steps, twice, or in the wrong order: they are scored in the order of their time stamps,
    those of the same time one after the other, and a gap is not filled. A file that breaks a rule is named and left
    out; the exit code is then 65.

    A Parquet file is the table of a fleet, with the columns service, kpi, at, value, sorted by the first three: below
    --output appear its events and its KPIs of each day.
    """
    if source.suffix == ".parquet" and source.is_file():
        if baseline:
            raise UsageError("a table of a fleet learns on its way; --baseline is for CSV files")
        _detect_fleet(source, output, false_alarms_per_day)
        return
    from tars_ops.adapters.detection import detect_files

    refused = []
    for one in detect_files(source, output, baseline=baseline, false_alarms_per_day=false_alarms_per_day):
        if isinstance(one, ContractError):
            refused.append(str(one))
        else:
            click.echo(f"{one.target}: {one.n_rows} rows, {one.n_events} events")
    if refused:
        raise ContractError("\n".join(refused))


def _detect_fleet(source: Path, output: Path, false_alarms_per_day: float | None) -> None:
    from tars_ops.adapters.fleet import detect_fleet

    found = detect_fleet(source, output, false_alarms_per_day=false_alarms_per_day)
    click.echo(f"{output}: {found.n_series} series, {found.n_samples} samples, {found.n_events} events")
