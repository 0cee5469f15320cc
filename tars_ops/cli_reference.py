"""Which commands does ``tars-ops`` have, and what does each of them take?

The page is made of the commands themselves, so that it cannot disagree with what they accept.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

import click

from tars_ops.cli import cli

_HEAD = """\
# Command line

<!-- Generated from the commands by `make docs`; change tars_ops/cli.py instead. -->

Data go to standard output, everything else to standard error. Settings come from [the environment](environment.md);
every error ends in [an exit code](exit-codes.md) and says who acts.
"""
_TABLE = "| Argument | Values | Default | Meaning |\n|---|---|---|---|\n"


def cli_reference() -> str:
    """Write the reference of all commands in Markdown, in alphabetical order."""
    return "\n".join([_HEAD, *(_section(path, command) for path, command in _commands(cli, ("tars-ops",)))])


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Give every command that does something, with the words that call it; a group only holds others."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name in sorted(command.commands):
        yield from _commands(command.commands[name], (*path, name))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command, info_name=path[-1])
    usage = " ".join([*path, *command.collect_usage_pieces(context)])
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    table = f"\n{_TABLE}{''.join(_row(parameter, context) for parameter in shown)}" if shown else ""
    return f"## `{' '.join(path)}`\n\n```sh\n{usage}\n```\n\n{_prose(command)}\n{table}"


def _prose(command: click.Command) -> str:
    paragraphs = re.split(r"\n{2,}", inspect.cleandoc(command.help or ""))
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


def _row(parameter: click.Parameter, context: click.Context) -> str:
    cells = (_name(parameter, context), _values(parameter, context), _default(parameter), _meaning(parameter))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _name(parameter: click.Parameter, context: click.Context) -> str:
    if isinstance(parameter, click.Option):
        return ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len, reverse=True))
    return f"`{parameter.make_metavar(context)}`"


def _values(parameter: click.Parameter, context: click.Context) -> str:
    """Write what may be given, in words.

    Examples
    --------
    >>> _values(click.Option(["--day"], type=click.IntRange(min=1), multiple=True), click.Context(click.Command("x")))
    'whole number, x>=1; may be repeated'
    """
    repeated = "; may be repeated" if parameter.multiple or parameter.nargs == -1 else ""
    return f"{_type(parameter, context)}{repeated}"


def _type(parameter: click.Parameter, context: click.Context) -> str:
    match parameter.type:
        case click.types.BoolParamType():
            return "flag"
        case click.IntRange() as span:
            return f"whole number, {span._describe_range()}"  # noqa: SLF001 - click shows it in its own help
        case click.Choice() as choice:
            return " or ".join(f"`{value}`" for value in choice.choices)
        case click.Path():
            return "path"
        case kind:
            return "text" if kind.name == "text" else kind.get_metavar(parameter, context) or kind.name


def _default(parameter: click.Parameter) -> str:
    if parameter.required:
        return "required"
    has_none = parameter.multiple or isinstance(parameter.type, click.types.BoolParamType)
    return "" if has_none or not isinstance(parameter.default, str | int) else f"`{parameter.default}`"


def _meaning(parameter: click.Parameter) -> str:
    return (parameter.help or "") if isinstance(parameter, click.Option) else "See above."


def main() -> None:
    """Print the page."""
    sys.stdout.write(cli_reference())


if __name__ == "__main__":
    main()
