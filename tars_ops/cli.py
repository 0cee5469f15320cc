"""``tars-ops``: what can be done from a terminal?

Commands only parse, call and print. Everything heavy is imported inside the command that needs it, so that ``--help``
answers at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tars_ops import __version__
from tars_ops.alerts_cli import alerts
from tars_ops.core.errors import TarsOpsError, UsageError
from tars_ops.detect_cli import detect
from tars_ops.releases_cli import release as release_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tars_ops.core.policy import Policy
    from tars_ops.core.watch.running import RunningDay
    from tars_ops.session import Session

EXIT_FAIL, EXIT_UNKNOWN, EXIT_TAMPERED = 10, 11, 12
DEFAULT_EXPORT = "var/releases"


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=False)
@click.version_option(__version__, prog_name="tars-ops")
def cli() -> None:
    """Watch a software release after GA and say whether to keep it, watch it closer or roll it back."""


cli.add_command(alerts)
cli.add_command(detect)
cli.add_command(release_group)

_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


# -- demo and watch -----------------------------------------------------------------------------------------------


@cli.command()
@_as_json
def demo(as_json: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Watch the embedded release week, tars@1.0.1, from its recording to a verified bundle.

    Exits with 0 when it completed, whatever the verdict.
    """
    from tars_ops.adapters.recording import RecordingSource
    from tars_ops.adapters.settings import load_settings
    from tars_ops.adapters.sources import DEMO
    from tars_ops.session import open_session

    recording = RecordingSource(DEMO)
    settings = load_settings().model_copy(update={"source": "recording:demo"})
    with open_session(settings) as session:
        release = recording.release
        session.register(release, recording.policy_text)
        last = max(recording.days)
        steps = [("GA day: baseline", lambda: session.open_watch(release.key))]
        for day in release.days:
            steps += [
                (f"day {day}: judge", lambda day=day: session.watch_day(release.key, day)),
                (f"day {day}: verdict", lambda day=day: session.judge(release.key, as_of=day)),
            ]
        _run_steps(steps)
        _show(session, release.key, last, as_json=as_json, target=Path(DEFAULT_EXPORT))


@cli.command()
@click.argument("release")
@click.option("--day", "days", type=click.IntRange(min=1), multiple=True, help="Judge this day again; may be repeated.")
@click.option("--so-far", is_flag=True, help="Judge the running day provisionally, from what is there of it.")
@_as_json
def watch(release: str, days: tuple[int, ...], so_far: bool, as_json: bool) -> None:  # noqa: FBT001
    """Judge RELEASE: every day that is over and not judged yet, or the days given.

    Freezes the GA baseline first where it is not frozen yet, and refreshes the verdict and every report as of each
    judged day, and as of every later day that rests on it. Exits by the verdict of the last of these days: 0 (pass or
    warn), 10 (fail, or the advice to roll back) or 11 (unknown); 75 where nothing is over yet. With --so-far nothing of
    that: only the promises of the day that is still running are judged, and how fast their budgets burn.
    """
    from tars_ops.adapters.settings import load_settings
    from tars_ops.session import open_session

    if so_far and days:
        raise UsageError("--so-far judges the running day; it cannot be given with --day")
    settings = load_settings()
    with open_session(settings) as session:
        registered = session.registry.get(release)
        session.announce(registered.release)
        if so_far:
            sys.exit(_show_so_far(session.judge_so_far(registered), registered.policy, as_json=as_json))
        chosen = sorted(set(days)) or session.due(registered)
        session.check_can_be_judged(registered, chosen)
        steps = []
        if not session.has_baseline(release):
            steps.append(("GA day: baseline", lambda: session.open_watch(release)))
        for day in chosen:
            steps += [
                (f"day {day}: judge", lambda day=day: session.watch_day(release, day)),
                (f"day {day}: verdict", lambda day=day: session.judge(release, as_of=day)),
            ]
        _run_steps(steps)
        stale = session.stale(registered)
        _run_steps([(f"day {day}: verdict", lambda day=day: session.judge(release, as_of=day)) for day in stale])
        as_of = max(chosen) if chosen else session.last_verdict(registered)
        sys.exit(_show(session, release, as_of, as_json=as_json, target=None))


def _show_so_far(judged: RunningDay, policy: Policy, *, as_json: bool) -> int:
    """Print a provisional judgement and return its exit code."""
    from tars_ops.adapters import console
    from tars_ops.core.verdict import Verdict

    code = {Verdict.FAIL: EXIT_FAIL, Verdict.UNKNOWN: EXIT_UNKNOWN}.get(judged.verdict, 0)
    if as_json:
        click.echo(json.dumps({**judged.model_dump(mode="json"), "exit_code": code}))
        return code
    out = console.out()
    out.print(console.running_table(judged, policy))
    rows = {"verdict": judged.verdict.value, "decision": judged.decision.replace("_", " "), "reason": judged.reason}
    console.say_rows(out, rows.items())
    return code


def _run_steps(steps: list) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from tars_ops.adapters.console import talk

    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=talk(), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("starting", total=len(steps))
        for title, run in steps:
            progress.update(task, description=title)
            if not sys.stderr.isatty():
                click.echo(title, err=True)
            run()
            progress.advance(task)


def _show(session: Session, release: str, as_of: int, *, as_json: bool, target: Path | None) -> int:
    """Print the verdict as of a day and return its exit code; export the release where a target is given."""
    from tars_ops.adapters import console

    analysis, stabilities, registered = session.verdict(release, as_of)
    exported = session.export(release, target, as_of=as_of) if target else None
    code = session.exit_code(analysis)
    if as_json:
        document = analysis.model_dump(mode="json", include=_SHOWN)
        paths = {"folder": str(exported.folder), "archives": [str(a) for a in exported.archives]} if exported else {}
        click.echo(
            json.dumps({**document, "exit_code": code, "paths": paths, "digests": session.digests(release, as_of)})
        )
        return code
    out = console.out()
    out.print(console.verdict_table(analysis, stabilities, registered.policy))
    console.say_verdict(out, analysis)
    if exported:
        final = exported.folder / "final"
        rows = [
            ("retrospective", str(final / "GA_7DAY_RETROSPECTIVE.md")),
            ("narrative", str(final / "executive_narrative.md")),
            *(("bundle", str(archive)) for archive in exported.archives),
        ]
        console.say_rows(out, rows)
    return code


_SHOWN = {"release", "as_of", "decision", "tier", "tier_reason", "assessment", "reasons", "days", "regressions"}


# -- evidence -----------------------------------------------------------------------------------------------------


@cli.command()
@click.argument("release")
@click.option("--output", "-o", type=click.Path(path_type=Path), required=True, help="File to write, such as week.zip.")
def record(release: str, output: Path) -> None:
    """Save the telemetry of RELEASE from the server of TARS_OPS_SOURCE as a recording."""
    from datetime import UTC, datetime

    from tars_ops.adapters.export import write_file
    from tars_ops.adapters.recording import record as record_week
    from tars_ops.adapters.registry import Registry
    from tars_ops.adapters.releases import check_is_over
    from tars_ops.adapters.settings import RECORDING_SCHEME, load_settings
    from tars_ops.adapters.sources import open_source
    from tars_ops.adapters.store import Store

    settings = load_settings()
    registered = Registry(Store.at(settings.store_url)).get(release)
    if not settings.source.startswith(RECORDING_SCHEME):
        check_is_over(registered.release, registered.release.n_days, now=datetime.now(UTC))
    source = open_source(settings.source)
    try:
        days = range(registered.release.n_days + 1)
        data = record_week(source, registered.release, registered.policy, registered.policy_text, days=days)
    finally:
        source.close()
    output.parent.mkdir(parents=True, exist_ok=True)
    write_file(output, data)
    click.echo(f"recorded {release}, {len(days)} days, {len(data)} bytes: {output}")


@cli.command()
@click.argument("release")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--as-of", type=click.IntRange(min=1), default=None, help="Day of the verdict; default: the last one.")
def export(release: str, directory: Path, as_of: int | None) -> None:
    """Write the files of RELEASE for people: its tree, its bundle and the facts of this export, below DIRECTORY."""
    from datetime import UTC, datetime

    from tars_ops.adapters.catalogue import last_verdict
    from tars_ops.adapters.export import export as export_release
    from tars_ops.adapters.registry import Registry
    from tars_ops.adapters.settings import load_settings
    from tars_ops.adapters.store import Store

    store = Store.at(load_settings().store_url)
    registered = Registry(store).get(release)
    day = as_of or last_verdict(store, release, up_to=registered.release.n_days)
    exported = export_release(store, release, directory, as_of=day, now=datetime.now(UTC))
    for path in (exported.folder, *exported.archives):
        click.echo(str(path))


@cli.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--sha256", default=None, help="Digest that the bundle must have, from a source you trust.")
@_as_json
def verify(bundle: Path, sha256: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Verify BUNDLE (.zip, .tar.gz or an exported folder) offline; exits with 12 on any difference."""
    from tars_ops.adapters.verification import verify as verify_bundle

    found = verify_bundle(bundle, expected_sha256=sha256)
    if as_json:
        click.echo(json.dumps(found.model_dump(mode="json")))
    elif found.differences:
        for one in found.differences:
            click.echo(f"{one.kind}: {one.path}: {one.detail}")
        click.echo(f"{bundle}: TAMPERED, {len(found.differences)} differences", err=True)
    else:
        click.echo(f"{bundle}: verified, {found.n_files} files of {found.release} as of day {found.as_of}")
    sys.exit(EXIT_TAMPERED if found.differences else 0)


@cli.group()
def policy() -> None:
    """Check policy files."""


@policy.command("check")
@click.argument("files", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, required=True)
def policy_check(files: tuple[Path, ...]) -> None:
    """Check policy FILES; every broken rule names file, line, key and what to do."""
    from tars_ops.adapters.policies import load_policy
    from tars_ops.core.errors import ConfigurationError, MissingInputError

    broken = []
    for path in files:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise MissingInputError(f"{path}: {error.strerror}") from error
        try:
            checked = load_policy(data, name=str(path))
        except ConfigurationError as error:
            broken.append(str(error))
            continue
        click.echo(f"{path}: {len(checked.judged)} KPIs, {len(checked.slos)} objectives of {checked.product}")
    if broken:
        raise ConfigurationError("\n".join(broken))


# -- the door -----------------------------------------------------------------------------------------------------


def main(args: Sequence[str] | None = None) -> None:
    """Run a command, by default that of this process; every error of the project ends in its own exit code."""
    try:
        cli.main(args=args, prog_name="tars-ops", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(UsageError.exit_code)
    except TarsOpsError as error:
        click.echo(f"error: {error}\nwho acts: {error.who_acts}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read has gone; nothing is left to say
        sys.exit(0)
    except Exception:  # noqa: BLE001 - the last door: a defect keeps its traceback and gets its own exit code
        import traceback

        traceback.print_exc()
        click.echo(f"who acts: {TarsOpsError.who_acts}", err=True)
        sys.exit(TarsOpsError.exit_code)


if __name__ == "__main__":
    main()
