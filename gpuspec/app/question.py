"""What the page asks: the fields of `DecisionQuestion`, which work shows which, and what is typed.

Types, units, ranges, defaults and meanings are those of the record; nothing is declared again here.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from gpuspec.base import files
from gpuspec.base.ask import Asked, asked
from gpuspec.base.documents import from_yaml
from gpuspec.base.errors import InputError, UnknownNameError, brief
from gpuspec.catalog.phrases import EXAMPLES
from gpuspec.decision.scenario import DecisionQuestion, Line, Scenario, scenario, scenario_of
from gpuspec.decision.scenario.line import (
    DAYS,
    HOMES,
    IMAGES_PER_S,
    MODEL,
    NAMED,
    OF_IMAGES,
    OF_JOB,
    OF_SERVICE,
    OF_SIMULATION,
    OF_TENANTS,
    SIMULATION,
    TOKENS,
)
from gpuspec.decision.scenario.records import Images
from gpuspec.decision.scenario.writing import scenario_text
from gpuspec.views.language import Words

MOST_QUESTION_BYTES = 256 * 1024
MOST_CONFIG_BYTES = 2**20
MOST_TABLE_BYTES = 256 * 1024
MOST_WORKS = 12
"""Of a file that is brought to the page, where others wait."""
LATEST = "deadline"
WORKS: dict[str, tuple[str, ...]] = {
    "service": ("model", *OF_SERVICE),
    "training": ("model", *OF_JOB, LATEST),
    "service and training": ("model", *OF_SERVICE, *OF_JOB, LATEST),
    "simulation": (*OF_SIMULATION, LATEST, "ai_share", "model"),
    "images": OF_IMAGES,
    "small services on slices": OF_TENANTS,
}
"""Kinds of work, and the fields of each."""
SHOWN = {
    "inference": "service",
    "training": "training",
    "hpc": "simulation",
    "images": "images",
    "tenants": "small services on slices",
}
"""Kinds of work of a scenario, as the page calls them."""
COMMON = (
    *("owned", "budget", "regions", "horizon_months", "gpus", "objective", "quotes", "api"),
    "currency",
)
SELDOM = (
    *("concurrency", "request_rate", "documents", "document_tokens", "tuning", "ai_share"),
    *("gpus", "horizon_months", "objective", "quotes", "api", "api_price", "currency"),
    *("image_steps", "image_size"),
)
"""Fields that are shown when they are asked for."""
ASKED_OTHERWISE = ("scenario", "language", "deadline_days", "capital_usd", "monthly_usd")
"""Fields without a box: a file that is loaded, the switch of languages, and what ``deadline`` and
``budget`` say as well."""
USERS = 200
TENANTS = "12 x Llama-3.2-1B, 2 x Llama-3.1-8B"
START = {
    "service": {"model": MODEL, "users": f"{USERS}"},
    "training": {"model": MODEL, "tokens": f"{TOKENS:.0e}".replace("+0", ""), LATEST: f"{DAYS:g}d"},
    "simulation": {"simulation": SIMULATION, LATEST: f"{DAYS:g}d"},
    "images": {
        "image_model": str(Images.model_fields["model"].default),
        "images_per_s": f"{IMAGES_PER_S:g}",
    },
    "small services on slices": {"tenants": TENANTS},
}
START["service and training"] = START["service"] | START["training"]
"""What stands in the boxes at first, by the kind of work; what is left blank is taken and named."""
FILE = "question.yaml"
"""What the page calls the question as a file."""
_SHORT = {w: w.upper() for w in ("isl", "osl", "ai", "gpu", "usd", "api")} | {
    "gpus": "GPUs",
    "per": "a",
    "s": "second",
}


def fields() -> dict[str, Asked]:
    """Return the fields that have a box, by their names."""
    known = {f.name: f for f in asked(DecisionQuestion)}
    return {name: f for name, f in known.items() if name not in ASKED_OTHERWISE}


def label_of(name: str) -> str:
    """Return the name of a field as words.

    >>> label_of("ai_share"), label_of("request_rate")
    ('AI share', 'Request rate')
    """
    words = [_SHORT.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


@dataclass(frozen=True)
class Question:
    """What stands in the boxes, over a file that was loaded or without one."""

    values: Mapping[str, str] = field(default_factory=dict)
    base: Scenario | None = None
    language: str = "en"

    @cached_property
    def scenario(self) -> Scenario:
        """The checked scenario; an `InputError` names the field of the box."""
        return scenario_of(self.base, Line.ask(**self.values), language=self.language)

    @property
    def command(self) -> str:
        """The command line that gives the same answer."""
        words = ["gpuspec", "plan", *([FILE] if self.base else [])]
        for name, value in self.values.items():
            words += ["--" + name.replace("_", "-"), value]
        words += ["--lang", self.language] if self.language != "en" else []
        return shlex.join(words)

    @property
    def yaml(self) -> str:
        """The question as a file."""
        return scenario_text(self.scenario, Path(FILE))

    @property
    def base_yaml(self) -> str:
        """The file that was loaded, as the command line takes it; empty without one."""
        return scenario_text(self.base, Path(FILE)) if self.base else ""

    def taken(self) -> dict[str, str]:
        """Return what counts where a box is blank, by the field."""
        s, found = self.scenario, {}
        for w in reversed(s.workloads):
            for name in HOMES[w.kind]:
                value = getattr(w, NAMED.get(name, name), None)
                if value is not None and name != "tenants":
                    found[name] = shown(value)
            if days := getattr(w, "deadline_days", None):
                found[LATEST] = f"{shown(days)}d"
        found |= {"gpus": shown(s.allow.gpus), "regions": shown(s.allow.regions)}
        found["owned"] = ", ".join(f"{o.count} x {o.gpu}" for o in s.owned)
        of = {"horizon_months": s, "objective": s, "currency": s.prices}
        return found | {name: shown(getattr(part, name)) for name, part in of.items()}


def shown(value: object) -> str:
    """Write a value as a box takes it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def read_question(content: bytes) -> Scenario:
    """Return the scenario of a YAML file that somebody brings.

    Raises
    ------
    InputError
        For what is too large, no YAML, no scenario, or names files beside it.
    """
    content_ = from_yaml("scenario", _text("scenario", content, MOST_QUESTION_BYTES), FILE)
    if not isinstance(content_, dict):
        raise InputError("scenario", FILE, "it must hold name, workloads and the like at its top")
    works = content_.get("workloads")
    if isinstance(works, list) and len(works) > MOST_WORKS:
        raise InputError("workloads", works, f"give at most {MOST_WORKS}")
    return scenario(content_)


BROUGHT = {
    "model": ("own-model", ".json", MOST_CONFIG_BYTES),
    "tenants": ("own-tenants", ".csv", MOST_TABLE_BYTES),
}
"""Fields that take a file: what it is called here, its suffix, and how long it may be."""


def keep(name: str, content: bytes, folder: Path, number: int) -> str:
    """Write a file that somebody brings for a field into a folder; return what it is called."""
    base, suffix, most = BROUGHT[name]
    text = _text(name, content, most)
    file = f"{base}-{number}{suffix}" if number > 1 else f"{base}{suffix}"
    files.write_atomically(folder / file, text.encode())
    return file


def _text(name: str, content: bytes, most: int) -> str:
    if len(content) > most:
        valid = f"it must be at most {most:,} bytes"
        raise InputError(name, f"more than {most:,} bytes", valid)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(name, "the file", "save it as plain text in UTF-8") from None


def field_of(error: InputError) -> str:
    """Return the box that an error belongs to; empty where there is none of its own."""
    name = error.field.partition(":")[0].rsplit(".", 1)[-1].partition("[")[0]
    if name.startswith(("tenants, ", "tenant ")):
        return "tenants"
    same = {new: old for old, new in NAMED.items() if new != "model"}
    same |= {"deadline_days": LATEST, "config": "model"}
    same |= dict.fromkeys(("capital_usd", "monthly_usd", "total_usd"), "budget")
    same |= {"gpu": "owned", "count": "owned"} | {"cny_per_usd": "currency"}
    name = same.get(name, name)
    return name if name in fields() else ""


BLANK = ", or leave it blank"
_ONE = re.compile(r"give it or (\w+), not both")


def told(error: InputError, say: Words) -> str:
    """Return an error as a sentence in a language, as far as its catalogue goes."""
    at = fields().get(field_of(error))
    text, blank, _ = error.valid.partition(BLANK)
    valid = say(text)
    if valid == text and isinstance(error, UnknownNameError) and error.close:
        valid = say("did you mean {names}?", names=say(", ").join(error.close))
    elif other := _ONE.fullmatch(text):
        valid = say("give it or {other}, not both", other=say(label_of(other[1])))
    elif at is not None and at.range is not None and text.startswith(at.range.valid(at.whole)):
        least, most = (f"{end:,.10g}" for end in (at.range.least, at.range.most))
        kind = say("a whole number" if at.whole else "a number")
        values = {"kind": kind, "least": least, "most": most}
        valid = say("give {kind} from {least} to {most}", **values)
        valid += say(" ({unit})", unit=say(at.unit)) if at.unit else ""
        if at.unit in EXAMPLES:
            valid += say(", such as {examples}", examples=EXAMPLES[at.unit])
    valid += say(BLANK) if blank else ""
    found = say("{value} is not valid: {valid}", value=brief(error.value), valid=valid)
    _, _, inside = error.field.partition(": ")
    return f"{say(inside)}{say(': ')}{found}" if inside else found
