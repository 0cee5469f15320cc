"""How do values of assets get into the store and back?

One I/O manager for everything: the catalogue says under which key and in which files, the store that nothing is torn
or changed. A release asset that depends on days gets those that exist, one at a time.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import dagster as dg

from tars_ops.adapters.catalogue import BY_ASSET, OF_A_DAY, OF_GA, OF_THE_RUNNING_DAY, Kind, as_of_key, days_with
from tars_ops.adapters.store import Store
from tars_ops.core.release import day_key
from tars_ops.defs.failures import reported
from tars_ops.defs.partitions import split
from tars_ops.defs.resources import AsOf, StoreResource

T = TypeVar("T")
LARGE_BYTES = 2 * 2**20
"""Larger artifacts are parsed anew each time rather than kept in memory."""


class Days(Mapping[int, T]):
    """An artifact of every day that has it, read when it is asked for and not kept."""

    def __init__(self, days: list[int], load: Callable[[int], T]) -> None:
        self._days, self._load = days, load

    def __getitem__(self, day: int) -> T:
        """Read the artifact of a day."""
        if day not in self._days:
            raise KeyError(day)
        return self._load(day)

    def __iter__(self) -> Iterator[int]:
        """Go through the days, oldest first."""
        return iter(self._days)

    def __len__(self) -> int:
        """Count the days."""
        return len(self._days)

    def up_to(self, day: int) -> dict[int, T]:
        """Read the artifacts of all days up to one."""
        return {one: self._load(one) for one in self._days if one <= day}


class StoreIOManager(dg.ConfigurableIOManager):
    """Values to and from the artifact store."""

    store: dg.ResourceDependency[StoreResource]
    as_of: dg.ResourceDependency[AsOf]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401 - any artifact
        """Keep a value; the same content again makes no new version."""
        kind = BY_ASSET[context.asset_key.to_user_string()]
        with reported():
            release, day = split(context.partition_key)
            at = _at(kind, day, getattr(obj, "as_of", 0))
            pointer = self.store.open().put(kind.key(release, at), kind.encode(obj, at))
        context.add_output_metadata(
            {
                "sha256": pointer.sha256,
                "version": pointer.version,
                "size": sum(one.size_bytes for one in pointer.files.values()),
                "files": dg.MetadataValue.json({path: one.sha256 for path, one in pointer.files.items()}),
            }
        )

    def load_input(self, context: dg.InputContext) -> Any:  # noqa: ANN401 - any artifact
        """Read a value back, or all days of it where a release asks for days."""
        kind = BY_ASSET[context.asset_key.to_user_string()]
        with reported():
            release, day = split(context.partition_key)
            store = self.store.open()
            if kind in OF_A_DAY and not day:
                known = days_with(store, release, kind, up_to=self.store.release(release).release.n_days)
                return Days(known, lambda one: _load(store, kind, release, day_key(one)))
            dated = kind not in (*OF_GA, *OF_A_DAY, *OF_THE_RUNNING_DAY)
            as_of = self.as_of.resolve(store, self.store.release(release)) if dated else 0
            return _load(store, kind, release, _at(kind, day, as_of))


def _load(store: Store, kind: Kind, release: str, at: str) -> Any:  # noqa: ANN401 - any artifact
    files = store.get(kind.key(release, at))  # read and checked every time
    if sum(map(len, files.values())) > LARGE_BYTES:
        return kind.decode(files)
    return _decoded(kind, tuple(files.items()))


@lru_cache(maxsize=64)
def _decoded(kind: Kind, files: tuple[tuple[str, bytes], ...]) -> Any:  # noqa: ANN401 - any artifact
    """Parse the same bytes once; values are never changed by whoever gets them."""
    return kind.decode(dict(files))


def _at(kind: Kind, day: int, as_of: int) -> str:
    if kind in (*OF_GA, *OF_THE_RUNNING_DAY):
        return ""
    return day_key(day) if kind in OF_A_DAY else as_of_key(as_of)
