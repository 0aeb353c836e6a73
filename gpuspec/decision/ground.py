"""What was measured of settings like those that a plan rests on, and the warning where none was."""

from collections.abc import Mapping
from typing import Any

from gpuspec.constants.ground import FAR, MEASURED, Ground
from gpuspec.topics.ways import Ways
from gpuspec.views.language import Words, reason_in


def chosen_ground(ways: Ways, place: int) -> Ground:
    """Return the ground of a row of the ways to run a workload."""
    row: dict[Any, Any] = dict(ways.table.iloc[place])
    return ways.ground(row)


def warning(grounds: Mapping[str, Ground], other: Mapping[str, Ground] | None, say: Words) -> str:
    """Say on page 1 what the first of a ranking rests on; a warning where that is far.

    `grounds` by what runs where, of the first; `other` those of the runner-up, if there is one.
    """
    worst = max((g.code for g in grounds.values()), default=MEASURED)
    if worst == MEASURED:
        return say("Settings like all of these were measured.")
    told = {name: g for name, g in grounds.items() if g.code == worst}
    listed = say("; ").join(
        say("{place} ({why})", place=name, why=say("; ").join(reason_in(r, say) for r in g.reasons))
        for name, g in told.items()
    )
    if worst < FAR:
        return say("Near what was measured: {places}.", places=listed)
    text = say(
        "Far from all that was measured, so that its interval is wider: {places}.", places=listed
    )
    if other and max(g.code for g in other.values()) < FAR:
        text += say(" The runner-up is on nearer ground: try the first before signing.")
    return text
