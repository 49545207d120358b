"""How other harnesses read the same replies, so that their published numbers can be compared like with like.

A profile re-implements, from a description, one peer's rule, its defaults and its aggregation. It is
never used for medbench's own figures, difficulty or rewards. Options are known by their letters alone;
no profile reads `Example.labels`.
"""

from medbench.errors import unknown
from medbench.parity import harness, huatuo, medevalkit, medical, mmmu, vlm, vqa
from medbench.parity.types import Mark, Profile

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for module in (medevalkit, huatuo, medical, mmmu, harness, vlm, vqa)
    for profile in module.PROFILES
}
"""Every profile by name."""


def named(name: str) -> Profile:
    """The profile of that name.

    >>> named("mirage").peer
    'MIRAGE'
    """
    if name not in PROFILES:
        raise unknown("profile", name, PROFILES)
    return PROFILES[name]


__all__ = ["PROFILES", "Mark", "Profile", "named"]
