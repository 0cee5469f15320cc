"""What can happen to a store behind our back? A byte that flips, an artifact that goes."""

from __future__ import annotations

import shutil
from pathlib import Path

from tars_ops.adapters.store import Store


def flip_a_byte(url: str, key: str, *, ending: str = "") -> str:
    """Change the last byte of one file of an artifact, as a bad disk would; return the path of the file."""
    pointer = Store.at(url).pointer(key)
    assert pointer is not None, key
    path, stored = next((path, one) for path, one in sorted(pointer.files.items()) if path.endswith(ending))
    content = Path(url, "objects", "sha256", stored.sha256[:2], stored.sha256)
    data = content.read_bytes()
    content.chmod(0o644)
    content.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    return path


def lose(url: str, key: str) -> None:
    """Remove every version of an artifact, as a restore of an incomplete backup would."""
    shutil.rmtree(Path(url, "pointers", key))
