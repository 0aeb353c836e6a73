"""The commands that make a layout real, to copy into a shell of the host."""

from gpuspec.formulas.mig.rules import Placements, geometry


def profile_tuple(gpu_id: str, profile: str, start: int) -> str:
    """Return an instance as ``nvidia-smi mig -cgi`` takes it: profile and start.

    A profile's id is the same on every driver seen; where it is unknown its name stands, which
    the driver takes too.

    >>> profile_tuple("h100-sxm-80", "3g.40gb", 4)
    '9:4'
    """
    known = geometry(gpu_id).profiles[profile].profile_id
    return f"{profile if known is None else known}:{start}"


def create_commands(gpu_id: str, layout: Placements, index: int | str) -> list[str]:
    """Return the commands that give the GPU with this index (or UUID) the layout."""
    tuples = ",".join(profile_tuple(gpu_id, p.profile, p.start) for p in layout)
    return [
        f"sudo nvidia-smi -i {index} -mig 1",
        f"sudo nvidia-smi mig -i {index} -cgi {tuples} -C",
    ]
