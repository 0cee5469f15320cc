"""Which releases are known, and which policy judges each of them?

A release is an artifact of the store like any other: its entry and the text of the policy that it is pinned to.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from tars_ops.adapters.artifacts import canonical_json, parse_json
from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.store import Store
from tars_ops.core.errors import MissingInputError, UsageError
from tars_ops.core.policy import Policy
from tars_ops.core.release import KEY_PATTERN, Release, checked_key

ENTRY = "release"
RELEASE_FILE, POLICY_FILE = "release.json", "policy.yaml"


@dataclass(frozen=True, slots=True)
class Registered:
    """A release, and the policy that it is pinned to."""

    release: Release
    policy: Policy
    policy_text: bytes


@lru_cache(maxsize=16)
def _policy(text: bytes, name: str) -> Policy:
    """Parse a policy once: every step of a run asks for it."""
    return load_policy(text, name=name)


class Registry:
    """The releases of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, release: Release, policy_text: bytes) -> Registered:
        """Register a release under a policy; the same entry again changes nothing.

        Raises
        ------
        UsageError
            If the release is registered with another content: its windows and its policy are pinned.
        """
        sha256 = hashlib.sha256(policy_text).hexdigest()
        if release.policy_sha256 != sha256:
            raise UsageError(f"{release.key} is pinned to policy {release.policy_sha256[:12]}, not to {sha256[:12]}")
        policy = load_policy(policy_text, name=f"policy of {release.product}")
        measurement = policy.measurement
        if release.day_length_s % measurement.slot_s:
            raise UsageError(
                f"a day of {release.day_length_s} s is no multiple of measurement.slot_s ({measurement.slot_s}) "
                f"of the policy of {release.product}"
            )
        known = self._find(release.key)
        if known and known.release != release:
            changed = [name for name, value in known.release if value != getattr(release, name)]
            raise UsageError(
                f"{release.key} is registered with another {', '.join(changed)}; a registered release is pinned - "
                "register the change under a version of its own"
            )
        files = {RELEASE_FILE: canonical_json(release), POLICY_FILE: policy_text}
        self._store.put(f"{release.key}/{ENTRY}", files)
        return Registered(release, policy, policy_text)

    def get(self, key: str) -> Registered:
        """Return a registered release.

        Raises
        ------
        MissingInputError
            If it is not registered.
        """
        found = self._find(checked_key(key))
        if found is None:
            known = ", ".join(self.all_keys()) or "none"
            raise MissingInputError(
                f"release {key} is not registered (known: {known}); "
                f"register it with `tars-ops release add {key} --ga ...`"
            )
        return found

    def _find(self, key: str) -> Registered | None:
        if self._store.pointer(f"{key}/{ENTRY}") is None:
            return None
        files = self._store.get(f"{key}/{ENTRY}")
        release = parse_json(Release, files[RELEASE_FILE], name=f"{key}/{RELEASE_FILE}")
        return Registered(release, _policy(files[POLICY_FILE], f"{key}/{POLICY_FILE}"), files[POLICY_FILE])

    def all_keys(self) -> list[str]:
        """Return the keys of all registered releases, sorted."""
        return [name for name in self._store.roots() if KEY_PATTERN.match(name) and ENTRY in self._store.children(name)]
