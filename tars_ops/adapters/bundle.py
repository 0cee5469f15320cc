"""What is the executive bundle made of?

Every artifact of a release as of a day, under the paths that people read, with a manifest; as a ZIP and as a tar.gz of
the same files. What goes in decides every byte that comes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tars_ops.adapters.archive import pack_tar_gz, pack_zip, sidecar_line
from tars_ops.adapters.artifacts import canonical_json
from tars_ops.core.release import Release
from tars_ops.core.report.manifest import Manifest, build_manifest

MANIFEST: Final = "manifest.json"
_ROLES: Final = (
    ("release.json", "identity"),
    ("policy.yaml", "policy"),
    ("telemetry", "evidence"),
    ("final/compliance_index", "compliance"),
    ("final/provenance", "provenance"),
    ("final/", "report"),
    ("", "judgement"),
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The archive of evidence in both forms."""

    as_of: int
    name: str
    """Without an ending: ``product-version-executive``."""
    manifest_sha256: str
    n_files: int
    zip_bytes: bytes
    tar_gz_bytes: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """The archives and their digests as ``sha256sum`` writes them, by file name."""
        archives = {f"{self.name}.zip": self.zip_bytes, f"{self.name}.tar.gz": self.tar_gz_bytes}
        digests = {f"{name}.sha256": sidecar_line(name, data) for name, data in archives.items()}
        return {**archives, **digests}


def role_of(path: str) -> str:
    """Return what a file of a bundle is for.

    Examples
    --------
    >>> [role_of("stability/day_01_telemetry/quality.json"), role_of("final/executive_narrative.md")]
    ['evidence', 'report']
    """
    return next(role for part, role in _ROLES if part in path)


def manifest_of(release: str, as_of: int, tree: Mapping[str, bytes]) -> Manifest:
    """Describe the files of a release, by path."""
    return build_manifest(release, as_of, tree, {path: role_of(path) for path in tree})


def bundle(release: Release, as_of: int, tree: Mapping[str, bytes]) -> Bundle:
    """Pack the files of a release, by path, with their manifest."""
    described = canonical_json(manifest_of(release.key, as_of, tree))
    files = {**tree, MANIFEST: described}
    return Bundle(
        as_of=as_of,
        name=f"{release.product}-{release.version}-executive",
        manifest_sha256=hashlib.sha256(described).hexdigest(),
        n_files=len(files),
        zip_bytes=pack_zip(files, root=release.key),
        tar_gz_bytes=pack_tar_gz(files, root=release.key),
    )
