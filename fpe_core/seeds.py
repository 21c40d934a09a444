"""Every random draw of a study comes from the plan's seed through this one function."""

import hashlib


def derive_seed(study_seed: int, *purpose: str | int) -> int:
    """A seed for one purpose, for example `derive_seed(plan.seed, "round", site, 3)`.

    Returns:
        An integer in [0, 2**63), the same on every machine; different purposes give independent seeds.
    """
    text = "\x1f".join([str(study_seed), *(str(part) for part in purpose)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
