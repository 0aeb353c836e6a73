"""A MIG instance as a small GPU, on which every formula for whole GPUs runs."""

from functools import cache

from gpuspec.base.units import GIB, MIB
from gpuspec.catalog import PRECISIONS, Gpu, MigProfile, gpu, mig_profile, mig_profiles
from gpuspec.formulas.hpc.devices import chip_power_w
from gpuspec.formulas.mig.rules import COMPUTE_SLICES, MEMORY_SLICES

SEPARATOR = "/"
"""Between the id of a GPU and the profile in the id of a slice."""


def slice_sms(whole: Gpu, profile: MigProfile) -> int:
    """Return the SMs of an instance; where no listing shows them, eighths of the GPU's.

    A compute slice of A100 and H100 holds 14 and 16 of 108 and 132 SM: an eighth, in pairs.
    """
    if profile.sm_count:
        return profile.sm_count
    total = whole.sm_count or 0
    if profile.compute_slices >= COMPUTE_SLICES:
        return total
    return max(total * profile.compute_slices // MEMORY_SLICES // 2 * 2, 1)


def compute_share(whole: Gpu, profile: MigProfile) -> float:
    """Return the share of the GPU's SMs that an instance has."""
    return slice_sms(whole, profile) / (whole.sm_count or 1)


@cache
def memory_parts(gpu_id: str) -> int:
    """Return into how many memory slices a GPU is divided: as many as its largest profile has."""
    return int(mig_profiles().loc[gpu_id]["memory_slices"].max())


def memory_share(profile: MigProfile) -> float:
    """Return the share of the bandwidth and of the L2 cache that an instance has."""
    return profile.memory_slices / memory_parts(profile.gpu_id)


def slice_memory_bytes(whole: Gpu, profile: MigProfile) -> float:
    """Return the memory of an instance: as its listing prints it, else its part of the GPU's.

    Of its part the driver keeps some; where nothing is listed, as much as it keeps at most of
    such a part in any listing. The name says nothing: a 3g.71gb has 69.5 GiB, a 3g.40gb 39.5.

    >>> h200 = gpu("H200")
    >>> slice_memory_bytes(h200, mig_profile("H200", "3g.71gb")) / 2**30
    69.5
    """
    if profile.memory_reported_gib is not None:
        return profile.memory_reported_gib * GIB
    share = memory_share(profile)
    return whole.memory_bytes * share * least_listed(share)


@cache
def least_listed(share: float) -> float:
    """Return the least part of their `share` of the GPU that listings give to instances."""
    listed = mig_profiles().dropna(subset="memory_reported_gib").reset_index()
    found = [mig_profile(*pair) for pair in listed[["gpu_id", "profile"]].to_numpy()]
    return min(
        (p.memory_reported_gib or 0.0) * GIB / (gpu(p.gpu_id).memory_bytes * share)
        for p in found
        if memory_share(p) == share
    )


@cache
def slice_gpu(gpu_name: str, profile_name: str) -> Gpu:
    """Return a MIG instance as a GPU of its own.

    Rates of the units go with the SMs, bandwidth and L2 cache with the memory slices; memory is
    what the driver reports (`slice_memory_bytes`). There is no NVLink and no peer access between
    instances. The id is that of the whole GPU and the profile, so that constants measured on the
    whole GPU apply.

    Raises
    ------
    UnknownNameError, InputError
        When the GPU or the profile is unknown; lists what is known.

    >>> it = slice_gpu("H100", "3g.40gb")
    >>> it.sm_count, round(it.memory_bandwidth_gb_s)
    (60, 1675)
    """
    whole = gpu(gpu_name)
    profile = mig_profile(whole.id, profile_name)
    compute, memory = compute_share(whole, profile), memory_share(profile)
    rates = {
        column: round(rate * compute, 6)
        for column in PRECISIONS.values()
        if (rate := getattr(whole, column)) is not None
    }
    return whole.model_copy(
        update={
            "id": f"{whole.id}{SEPARATOR}{profile.profile}",
            "name": f"{whole.name} MIG {profile.profile}",
            "sm_count": slice_sms(whole, profile),
            "memory_label_gb": profile.memory_label_gb,
            "memory_reported_mib": int(slice_memory_bytes(whole, profile) / MIB),
            "memory_basis": "assumed" if profile.memory_reported_gib is None else "reported",
            "memory_bandwidth_gb_s": whole.memory_bandwidth_gb_s * memory,
            "l2_cache_mb": (whole.l2_cache_mb or 0.0) * memory or None,
            "nvlink_generation": None,
            "nvlink_gb_s": None,
            "tdp_w": chip_power_w(whole) * compute,
            "mig_max_instances": None,
            "nvdec": profile.nvdec,
            "nvjpeg": profile.nvjpeg,
            "aliases": (),
            "sources": profile.sources,
            "source_seen": profile.source_seen,
            "notes": profile.notes,
            **rates,
        }
    )
