"""Which MIG instances a GPU can hold at once: the rules of the driver, and all layouts they allow.

An instance occupies neighbouring memory slices from one of its profile's start positions
(``nvidia-smi mig -lgipp``). A layout is valid when no memory slice is taken twice, the compute
slices suffice, no profile comes more often than the driver offers it, and the media engines
(``+me``) go to one instance at most.
"""

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from gpuspec.base.errors import InputError
from gpuspec.catalog import MigProfile, gpu_ids, mig_profile, mig_profiles

COMPUTE_SLICES = 7
MEMORY_SLICES = 8


class Placement(NamedTuple):
    """An instance: its profile, and the memory slice that it starts at."""

    profile: str
    start: int


Placements = tuple[Placement, ...]
"""Instances of one GPU, by start."""


class Geometry:
    """The profiles of a GPU and what the driver allows to do with them.

    Parameters
    ----------
    gpu_id : str
        A GPU whose placements the catalogue holds.

    Raises
    ------
    InputError
        When the GPU has no MIG, or its placements are unknown.
    """

    def __init__(self, gpu_id: str) -> None:
        self.gpu_id = gpu_id
        table = mig_profiles()
        if gpu_id not in table.index.unique("gpu_id"):
            raise InputError("gpu", gpu_id, "it has no MIG profiles in the tables")
        found = [mig_profile(gpu_id, str(name)) for name in table.loc[gpu_id].index]
        if not all(p.placement_starts for p in found):
            raise InputError("gpu", gpu_id, "where its MIG instances may start is unknown")
        self.profiles: dict[str, MigProfile] = {p.profile: p for p in found}

    def slices(self, placement: Placement) -> range:
        """Return the memory slices that an instance occupies."""
        size = self.profiles[placement.profile].placement_size or 1
        return range(placement.start, placement.start + size)

    def fault(self, layout: Iterable[Placement]) -> str:
        """Say which rule a layout breaks; empty where it is valid."""
        taken: set[int] = set()
        counts: Counter[str] = Counter()
        compute = 0
        for one in layout:
            if one.profile not in self.profiles:
                return f"{self.gpu_id} has no profile {one.profile}"
            profile = self.profiles[one.profile]
            if one.start not in profile.placement_starts:
                return f"{one.profile} cannot start at slice {one.start}"
            slices = set(self.slices(one))
            if slices & taken:
                return f"{one.profile} at {one.start} overlaps another instance"
            taken |= slices
            counts[one.profile] += 1
            compute += profile.compute_slices
            if counts[one.profile] > profile.max_instances:
                return f"{one.profile} comes {profile.max_instances} times at most"
        if compute > COMPUTE_SLICES:
            return f"{compute} compute slices are more than {COMPUTE_SLICES}"
        if sum(n for name, n in counts.items() if self.profiles[name].media_engine) > 1:
            return "the media engines go to one instance at most"
        return ""

    def figure_profiles(self) -> tuple[str, ...]:
        """Return the five profiles that the user guide's figures draw."""
        return tuple(
            p.profile
            for p in self.profiles.values()
            if not p.media_engine and not (p.compute_slices == 1 and p.memory_slices > 1)
        )


@cache
def geometry(name: str) -> Geometry:
    """Return the MIG geometry of a GPU named as a person types it; raises as `Geometry` does."""
    return Geometry(gpu_ids(name)[0])


@cache
def layouts(gpu_id: str, profiles: tuple[str, ...] | None = None) -> tuple[Placements, ...]:
    """Return every valid layout of a GPU, the empty one aside, with positions.

    Parameters
    ----------
    gpu_id : str
        A GPU of the catalogue.
    profiles : tuple of str, optional
        Only these profiles; all of the GPU where it is left out.
    """
    rules = geometry(gpu_id)
    names = tuple(rules.profiles) if profiles is None else profiles
    valid: list[Placements] = []

    def extend(layout: Placements, first_free: int) -> None:
        if layout:
            valid.append(layout)
        for start in range(first_free, MEMORY_SLICES):
            for name in names:
                one = Placement(name, start)
                if start in rules.profiles[name].placement_starts and not rules.fault(
                    (*layout, one)
                ):
                    extend((*layout, one), rules.slices(one).stop)

    extend((), 0)
    return tuple(valid)


@cache
def maximal_layouts(gpu_id: str, profiles: tuple[str, ...] | None = None) -> tuple[Placements, ...]:
    """Return the valid layouts, with positions, to which no instance can be added.

    With the five profiles of `Geometry.figure_profiles` these are the 19 that the MIG user
    guide draws for A100 and H100.
    """
    rules = geometry(gpu_id)
    names = tuple(rules.profiles) if profiles is None else profiles

    def full(layout: Placements) -> bool:
        return not any(
            not rules.fault((*layout, Placement(name, start)))
            for name in names
            for start in rules.profiles[name].placement_starts
        )

    return tuple(layout for layout in layouts(gpu_id, profiles) if full(layout))


@cache
def patterns(gpu_id: str, media: bool = True) -> tuple[Placements, ...]:
    """Return the layouts that matter for packing, one for each useful mix of profiles.

    A mix is left out when another layout offers at least as many instances of every profile
    (an instance with media engines counting as one without them too).
    """
    rules = geometry(gpu_id)
    names = tuple(n for n, p in rules.profiles.items() if media or not p.media_engine)
    mixes: dict[tuple[tuple[str, int], ...], Placements] = {}
    for layout in layouts(gpu_id, names):
        mixes.setdefault(tuple(sorted(Counter(p.profile for p in layout).items())), layout)
    offers = {mix: _offer(rules, dict(mix), names) for mix in mixes}

    def beaten(mix: tuple[tuple[str, int], ...]) -> bool:
        offer = offers[mix]
        return any(
            o != offer and all(a >= b for a, b in zip(o, offer, strict=True))
            for o in offers.values()
        )

    return tuple(layout for mix, layout in mixes.items() if not beaten(mix))


def plain_profile(profile: str) -> str:
    """Return the profile without media engines that one with them can stand in for."""
    return profile.removesuffix("+me")


def _offer(rules: Geometry, mix: dict[str, int], names: tuple[str, ...]) -> list[int]:
    """Return how many instances of each profile a mix can serve as."""
    return [
        sum(n for p, n in mix.items() if p == name or plain_profile(p) == name) for name in names
    ]


def counts(gpu_id: str) -> dict[str, int]:
    """Return how many layouts there are, by what is counted.

    ``figure``: full layouts with positions of the five profiles that the user guide draws.
    ``positions``, ``full``: all valid layouts, and the full ones, of all profiles without
    ``+me``, with positions. ``mixes``: the same without positions. ``useful``: mixes that no
    other mix beats, those with ``+me`` among them.
    """
    rules = geometry(gpu_id)
    plain = tuple(n for n, p in rules.profiles.items() if not p.media_engine)
    every = layouts(gpu_id, plain)
    return {
        "figure": len(maximal_layouts(gpu_id, rules.figure_profiles())),
        "positions": len(every),
        "full": len(maximal_layouts(gpu_id, plain)),
        "mixes": len({tuple(sorted(p.profile for p in layout)) for layout in every}),
        "useful": len(patterns(gpu_id)),
    }
