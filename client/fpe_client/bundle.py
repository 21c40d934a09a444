"""The one Flower App Bundle that this release runs: a `pyproject.toml` that points at the installed packages."""

PINNED_SHA256 = frozenset({"eff6046ef135f869580c764fb22cf4a3f1f7817b78bb7d4f8e037105f15472f0"})
"""sha256 of the bundle built from `server/fpe_server/bundle/`. A site runs no other."""
