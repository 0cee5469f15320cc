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


@lru_cache(maxsize=64)
def _policy(text: bytes) -> Policy:
    """Parse a policy once: every step of a run asks for it, and many releases are pinned to the same one."""
    return load_policy(text, name=f"registered policy {hashlib.sha256(text).hexdigest()[:12]}")


class Registry:
    """The releases of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, release: Release, policy_text: bytes) -> Registered:
        """Register a release under a policy; an entry that it has, or had before, changes nothing.

        Raises
        ------
        UsageError
            If the release is registered with another content: its windows and its policy are pinned.
        """
        sha256 = hashlib.sha256(policy_text).hexdigest()
        if release.policy_sha256 != sha256:
            raise UsageError(f"{release.key} is pinned to policy {release.policy_sha256[:12]}, not to {sha256[:12]}")
        policy = load_policy(policy_text, name=f"policy of {release.product}")
        _check_slots(release, policy)
        known = self._find(release.key)
        if known and known.release != release and self._was_so(release):
            return known
        if known and known.release != release:
            changed = [name for name, value in known.release if value != getattr(release, name)]
            raise UsageError(
                f"{release.key} is registered with another {', '.join(changed)}; a registered release is pinned - "
                "register the change under a version of its own"
            )
        self._put(release, policy_text, version=None)
        return Registered(release, policy, policy_text)

    def extend(self, key: str, n_days: int, *, longest: int) -> Registered:
        """Watch a release for more days, ``n_days`` in all; nothing else of its entry changes.

        Raises
        ------
        UsageError
            If it is watched longer already, or no day of this deployment has that number.
        ConflictError
            If somebody else extended it in between.
        """
        known = self.get(key)
        if n_days > longest:
            raise UsageError(f"{n_days} days: this deployment watches at most {longest} days (TARS_OPS_WATCH_DAYS)")
        if n_days < known.release.n_days:
            raise UsageError(f"{key} is watched for {known.release.n_days} days already; a watch is never shortened")
        if n_days == known.release.n_days:
            return known
        extended = known.release.model_copy(update={"n_days": n_days})
        self._put(extended, known.policy_text, version=max(self._store.versions(f"{key}/{ENTRY}")) + 1)
        return Registered(extended, known.policy, known.policy_text)

    def repin(self, key: str, policy_text: bytes) -> Registered:
        """Judge a release by another policy from now on; nothing else of its entry changes.

        Raises
        ------
        UsageError
            If the policy is of another product, or its slots do not fit into the days of the release.
        ConflictError
            If somebody else changed the entry in between.
        """
        known = self.get(key)
        policy = load_policy(policy_text, name=f"policy of {known.release.product}")
        if policy.product != known.release.product:
            raise UsageError(f"{key} cannot be judged by the policy of {policy.product}")
        pinned = known.release.model_copy(update={"policy_sha256": hashlib.sha256(policy_text).hexdigest()})
        _check_slots(pinned, policy)
        if pinned != known.release:
            self._put(pinned, policy_text, version=max(self._store.versions(f"{key}/{ENTRY}")) + 1)
        return Registered(pinned, policy, policy_text)

    def _put(self, release: Release, policy_text: bytes, *, version: int | None) -> None:
        files = {RELEASE_FILE: canonical_json(release), POLICY_FILE: policy_text}
        self._store.put(f"{release.key}/{ENTRY}", files, version=version)

    def _was_so(self, release: Release) -> bool:
        """Tell whether an entry is one that the release had before somebody extended it or changed its policy."""
        older = self._store.versions(f"{release.key}/{ENTRY}")[:-1]
        return any(one and one.release == release for one in (self._find(release.key, version=n) for n in older))

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

    def _find(self, key: str, *, version: int | None = None) -> Registered | None:
        if self._store.pointer(f"{key}/{ENTRY}") is None:
            return None
        files = self._store.get(f"{key}/{ENTRY}", version=version)
        release = parse_json(Release, files[RELEASE_FILE], name=f"{key}/{RELEASE_FILE}")
        return Registered(release, _policy(files[POLICY_FILE]), files[POLICY_FILE])

    def all_keys(self) -> list[str]:
        """Return the keys of all registered releases, sorted."""
        return [name for name in self._store.roots() if KEY_PATTERN.match(name) and ENTRY in self._store.children(name)]


def _check_slots(release: Release, policy: Policy) -> None:
    slot_s = policy.measurement.slot_s
    if release.day_length_s % slot_s:
        raise UsageError(
            f"a day of {release.day_length_s} s is no multiple of measurement.slot_s ({slot_s}) "
            f"of the policy of {release.product}"
        )
