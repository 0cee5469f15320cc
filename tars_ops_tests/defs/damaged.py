"""A disk that changes what was written: the I/O manager of the project, and a byte that flips after it."""

import dagster as dg

from tars_ops.adapters.catalogue import BY_ASSET
from tars_ops.core.release import day_key
from tars_ops.defs.io_manager import StoreIOManager
from tars_ops.defs.partitions import split
from tars_ops_tests.adapters.damage import flip_a_byte


class DamagingIOManager(StoreIOManager):
    """Keeps every value, and damages that of one asset afterwards."""

    damaged: str

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Keep a value, then flip a byte of it where it is of the damaged asset."""
        super().handle_output(context, obj)
        asset = context.asset_key.to_user_string()
        if asset == self.damaged:
            release, day = split(context.partition_key)
            flip_a_byte(self.store.url, BY_ASSET[asset].key(release, day_key(day) if day else ""))
