"""Which environment variables does the project read, and what does each of them mean?

The page is made of the model in `settings`, so that it cannot disagree with what is read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from tars_ops.adapters.settings import Settings

_HEAD: Final = """\
# Environment variables

<!-- Generated from the model by `make docs`; change tars_ops/adapters/settings.py instead. -->

A value that breaks its rule ends the command with exit code 78 and the name of the variable. Secrets are read from here
and nowhere else; no message, log or page repeats them.

| Variable | Default | Meaning |
|---|---|---|
"""
_TAIL: Final = """
Two more are read by what the project stands on: `DAGSTER_HOME`, the directory of Dagster's own records (default
`var/dagster`), and `NO_COLOR`, which takes the colours out of the terminal. Variables that begin with
`TARS_OPS_SECRET_` are read where a receivers file names them.
"""


def variables() -> dict[str, FieldInfo]:
    """Return the field behind each variable, in the order of the model.

    Examples
    --------
    >>> list(variables())[:2]
    ['TARS_OPS_SOURCE', 'TARS_OPS_STORE']
    """
    return {name: field for field in Settings.model_fields.values() for name in _names(field)}


def _names(field: FieldInfo) -> Iterator[str]:
    if isinstance(field.validation_alias, AliasChoices):
        yield from (name for name in field.validation_alias.choices if isinstance(name, str))


def settings_reference() -> str:
    """Write the reference of all environment variables in Markdown."""
    rows = (f"| `{name}` | {_default(field)} | {_meaning(field)} |\n" for name, field in variables().items())
    return _HEAD + "".join(rows) + _TAIL


def _default(field: FieldInfo) -> str:
    if field.default is None or field.default == "":
        return "none"
    return f"`{int(field.default) if isinstance(field.default, bool) else field.default}`"


def _meaning(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"{text} A secret." if is_secret(field) else text


def is_secret(field: FieldInfo) -> bool:
    """Tell whether a variable holds a secret."""
    return SecretStr.__name__ in str(field.annotation)


if __name__ == "__main__":
    sys.stdout.write(settings_reference())
