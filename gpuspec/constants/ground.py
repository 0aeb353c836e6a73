"""Known ground: whether settings like those of an answer were measured, are near, or far.

A calibration stores what its rows say of their settings: the names that occur and the ranges of
the numbers, over all rows and over those that share what matters most (`TOPICS`). An answer is

- **measured** where its names occur together and each number lies in the range of those rows,
- **near** where its names occur, but not together, or by one publisher alone, or a number lies
  outside the range by less than `SLIGHTLY`,
- **far** beyond that.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import NODE_GPUS, format_bytes
from gpuspec.catalog.precision import Precision, precision
from gpuspec.constants.stored import Stored, stored

if TYPE_CHECKING:
    from gpuspec.catalog.models import Model

Level = Literal["measured", "near", "far"]
LEVELS: tuple[Level, ...] = ("measured", "near", "far")
"""By their codes: 0, 1, 2."""
MEASURED, NEAR, FAR = range(3)
SLIGHTLY = 2.0
"""Factor outside a range up to which a number is near."""
LEAST_PUBLISHERS = 2
"""Publishers from which what they measured is known: one alone may be the exception."""
Codes = np.ndarray
Record = Stored
"""What was measured: ``names`` (name -> value -> publishers), ``numbers`` (name -> range),
``joint`` (values joined by ``|`` -> publishers and ranges), ``newest`` (engine -> version and
date)."""


class Reason(str):
    """A reason in English, and what it is put together from, so that it can be translated.

    >>> Reason.of("no measurement {what}", what=Reason.of("of {name}", name="vLLM"))
    'no measurement of vLLM'
    """

    template: str
    values: Mapping[str, str]

    @classmethod
    def of(cls, template: str, **values: str) -> "Reason":
        """Return a sentence with its values, each a name or a `Reason` itself."""
        found = cls(template.format(**values))
        found.template, found.values = template, values
        return found


@dataclass(frozen=True)
class Ground:
    """What is known of settings like those of an answer."""

    level: Level
    reasons: tuple[str, ...] = ()
    """Why it is not ``measured``, the gravest first."""

    @property
    def code(self) -> int:
        """Return 0 for measured, 1 for near, 2 for far."""
        return LEVELS.index(self.level)

    def told(self) -> dict[str, Any]:
        """Return it as answers for programs hold it."""
        return {"level": self.level, "reasons": list(self.reasons)}


KNOWN = Ground("measured")


def joined(grounds: Iterable[Ground]) -> Ground:
    """Return the worst of several grounds, with the reasons of all that are as bad.

    >>> joined([Ground("measured"), Ground("near", ("no measurement on h200-sxm-141",))]).level
    'near'
    """
    found = list(grounds)
    level = max((g.code for g in found), default=MEASURED)
    reasons = [reason for g in found if g.code == level for reason in g.reasons]
    return Ground(LEVELS[level], tuple(dict.fromkeys(reasons)))


@dataclass(frozen=True)
class Topic:
    """What of a setting counts, and how it is called."""

    joint: tuple[str, ...]
    """Names that must have been measured together."""
    names: Mapping[str, tuple[str, int]]
    """Name -> how a value is called in a reason, and the level where nobody measured it."""
    numbers: Mapping[str, str]
    """Number -> how the reason calls one beyond (``{bound}``)."""

    @property
    def columns(self) -> list[str]:
        """Return the names and numbers that settings of the topic say."""
        return list(dict.fromkeys([*self.names, *self.joint, *self.numbers]))


DISPUTED = (
    "more than two PCIe cards through the host",
    "PCIe cards across two processors",
    "Slingshot networks",
    "clusters shared with other jobs",
    "networks over TCP",
)
"""Settings that count as far whoever measured them. Eight cards were measured at 1.4 and at
15 GB/s; links between processors differ fourfold by make; four GPUs over two Slingshot adapters
reached 36 and 46 GB/s, and messages of a few MiB a tenth of what either says; nothing that is asked
for tells the systems apart. What other jobs leave of a shared network is in no question, and one
publisher alone measured TCP.
"""
_MODEL = {"params_b": "with models {bound} billion parameters"}
_GPU = {"generation": ("on {name} GPUs", FAR), "gpu": ("on {name}", NEAR)}
_REACH = {"tensor_reach": ("of tensor parallelism {name}", FAR)}
TOPICS: Mapping[str, Topic] = {
    "inference": Topic(
        ("generation", "engine", "kind"),
        {
            **_GPU,
            "engine": ("of {name}", FAR),
            "kind": ("of {name}", FAR),
            "weights": ("with weights in {name}", FAR),
            "cache": ("with a cache in {name}", NEAR),
            "attention_dp": ("with attention {name}", FAR),
            **_REACH,
        },
        {
            **_MODEL,
            "tp": "with tensor parallelism {bound}",
            "pp": "with pipeline stages {bound}",
            "ep": "with expert parallelism {bound}",
            "isl": "with prompts {bound} tokens",
            "osl": "with answers {bound} tokens",
            "load": "{bound} requests in flight on a replica",
        },
    ),
    "disaggregated": Topic(
        ("generation", "engine", "kind"),
        {**_GPU, "engine": ("of {name}", FAR), "kind": ("of {name}", FAR)},
        {
            **_MODEL,
            "gpus": "{bound} GPUs",
            "isl": "with prompts {bound} tokens",
            "osl": "with answers {bound} tokens",
            "load": "{bound} requests in flight",
        },
    ),
    "training": Topic(
        ("generation", "precision", "kind", "tuning"),
        {
            **_GPU,
            "framework": ("of {name}", FAR),
            "precision": ("in {name}", FAR),
            "tuning": ("of {name}", FAR),
            "kind": ("of {name}", FAR),
            "known_on": ("of {name}", NEAR),
            **_REACH,
            "pipeline_reach": ("of pipelines {name}", FAR),
        },
        {
            **_MODEL,
            "gpus": "{bound} GPUs",
            "tp": "with tensor parallelism {bound}",
            "pp": "with pipeline stages {bound}",
            "cp": "with context parallelism {bound}",
            "ep": "with expert parallelism {bound}",
            "seq_len": "with sequences {bound} tokens",
        },
    ),
    "posttraining": Topic(
        ("generation", "kind", "placement"),
        {
            **_GPU,
            "algorithm": ("of {name}", FAR),
            "kind": ("of {name}", FAR),
            "placement": ("of generation and training {name}", FAR),
            "engine": ("of {name}", NEAR),
            "framework": ("of {name}", NEAR),
            "tuning": ("of {name}", FAR),
        },
        {
            **_MODEL,
            "gpus": "{bound} GPUs",
            "isl": "with prompts {bound} tokens",
            "osl": "with answers {bound} tokens",
            "answers": "with {bound} answers a step",
        },
    ),
    "memory": Topic(
        ("kind",),
        {"kind": ("of {name}", FAR)},
        {
            **_MODEL,
            "seq_len": "with sequences {bound} tokens",
            "gpus": "{bound} GPUs",
            "tp": "with tensor parallelism {bound}",
            "pp": "with pipeline stages {bound}",
        },
    ),
    "collectives": Topic(
        ("link", "reach", "operation"),
        {
            "link": ("of collectives over {name}", FAR),
            "network": ("of collectives over {name}", FAR),
            "operation": ("of {name}", NEAR),
            "gpu": ("on {name}", NEAR),
            "path": ("on which publishers agree, of {name}", FAR),
        },
        {
            "nodes": "of collectives {bound} nodes",
            "members": "of collectives {bound} GPUs of a node",
            "network_gb_s": "of collectives with networks {bound} GB/s a node",
            "message_bytes": "with messages {bound}",
        },
    ),
    "hpc": Topic(
        ("generation", "workload"),
        {**_GPU, "workload": ("of {name}", FAR)},
        {"gpus": "{bound} GPUs"},
    ),
    "mig": Topic(
        ("generation", "load"),
        {**_GPU, "load": ("under {name}", NEAR), "work": ("of {name}", NEAR)},
        {"slices": "with slices {bound} sevenths"},
    ),
    "images": Topic(
        ("generation", "stack", "bits"),
        {
            **_GPU,
            "model": ("of {name}", NEAR),
            "stack": ("with {name}", FAR),
            "bits": ("in {name}", FAR),
        },
        {"steps": "{bound} steps", "pixels": "with images {bound} pixels"},
    ),
}


def model_kind(network: "Model") -> str:
    """Return what a model is to an engine: dense, a mixture of experts, an encoder.

    >>> from gpuspec.catalog.models import model
    >>> model_kind(model("Mixtral-8x7B"))
    'mixtures of experts'
    """
    if network.kind == "encoder":
        return "encoders"
    return "mixtures of experts" if network.experts else "dense models"


def format_name(form: str | Precision) -> str:
    """Return how ground calls a number format: those of 16 bits are one.

    >>> format_name("fp16"), format_name("nvfp4")
    ('16 bits', 'nvfp4')
    """
    known = precision(form) if isinstance(form, str) else form
    return known.id if known.quantized else "16 bits"


def reach_of(gpus: ArrayLike) -> np.ndarray:
    """Return where a group of GPUs lies: one number or an array of them.

    >>> str(reach_of(16))
    'over nodes'
    """
    return np.where(np.asarray(gpus) > NODE_GPUS, "over nodes", "in a node")


def framework_reach(framework: ArrayLike, gpus: ArrayLike) -> np.ndarray:
    """Return where a group of GPUs of a framework lies: over nodes frameworks differ severalfold.

    >>> framework_reach("nanotron", [8, 16]).tolist()
    ['in a node', 'over nodes under nanotron']
    """
    under = np.char.add("over nodes under ", np.asarray(framework, str))
    return np.where(np.asarray(gpus) > NODE_GPUS, under, "in a node")


def placement_of(generation_gpus: ArrayLike, off_policy_steps: ArrayLike) -> np.ndarray:
    """Return how generation and training of an RL step share GPUs and time.

    >>> placement_of([0, 8, 8], [0, 0, 1]).tolist()
    ['in turns', 'apart in turns', 'apart at once']
    """
    at_once = np.where(np.asarray(off_policy_steps) > 0, "apart at once", "apart in turns")
    return np.where(np.asarray(generation_gpus) > 0, at_once, "in turns")


TRAINED_ON = "{tuning} by {framework} on {generation} GPUs"


def called(text: str) -> str:
    """Return a level in words, in parts that can be translated where it has some."""
    parts = re.fullmatch(r"(.+) by (.+) on (.+) GPUs", text)
    if parts:
        return Reason.of(TRAINED_ON, tuning=parts[1], framework=parts[2], generation=parts[3])
    return NAMES.get(text, text)


def framework_on(framework: ArrayLike, generation: ArrayLike, tuning: ArrayLike) -> np.ndarray:
    """Return what a framework trains on a generation of GPU: adapters say little of weights.

    >>> str(framework_on("nanotron", "Hopper", "all weights"))
    'all weights by nanotron on Hopper GPUs'
    """
    named = np.char.add(np.char.add(np.asarray(tuning, str), " by "), np.asarray(framework, str))
    return np.char.add(
        np.char.add(np.char.add(named, " on "), np.asarray(generation, str)), " GPUs"
    )


def ground_record(topic: str) -> Record:
    """Return what the calibration of a topic says was measured."""
    found: Record = stored(topic)["ground"][topic]
    return found


def ground_codes(topic: str, said: Mapping[str, Any], record: Record | None = None) -> Codes:
    """Return 0, 1 or 2 (measured, near, far) for settings; names and numbers broadcast.

    Parameters
    ----------
    topic : str
        A topic of `TOPICS`.
    said : mapping
        What the answer says of its setting: names and numbers of the topic, each a value or an
        array. What it leaves out, and a number that is NaN, is not judged.
    record : dict, optional
        What was measured; what the last calibration stored unless given.
    """
    found: Codes = np.asarray(MEASURED)
    for code, _ in _judged(topic, record, said):
        found = np.maximum(found, code)
    return found


def ground_of(topic: str, said: Mapping[str, Any], record: Record | None = None) -> Ground:
    """Return the ground of one setting with its reasons; arguments as in `ground_codes`."""
    judged = [(int(np.max(code)), reason()) for code, reason in _judged(topic, record, said)]
    level = max((code for code, _ in judged), default=MEASURED)
    reasons = [reason for code, reason in judged if code == level and code]
    return Ground(LEVELS[level], tuple(dict.fromkeys(reasons)))


Judged = list[tuple[Codes, Callable[[], Reason]]]
"""Codes, and what gives the reason, for each thing that is said."""


def _judged(topic: str, record: Record | None, said: Mapping[str, Any]) -> Judged:
    known, of = record or ground_record(topic), TOPICS[topic]
    found: Judged = [
        (_name_codes(known["names"][n], said[n], grade), _name_reason(known, n, said[n], words))
        for n, (words, grade) in of.names.items()
        if n in said
    ]
    ranges: dict[str, np.ndarray] = {}
    if all(n in said for n in of.joint):
        publishers, ranges = _joint_ranges(known, of, said)
        found.append(_together(known, of, said, publishers))
    for name, words in of.numbers.items():
        if name in said and known["numbers"][name]:
            found.append(_number(known["numbers"][name], ranges.get(name), said[name], words))
    if "version" in said and "engine" in said:
        found.append(_version(known["newest"], said))
    return found


def _name_codes(known: Mapping[str, int], value: ArrayLike, grade: int) -> Codes:
    """Return the level of names: known to several publishers, to one, to none."""

    def code(name: str) -> int:
        if not name:  # not said
            return MEASURED
        publishers = known.get(name, 0)
        return grade if not publishers else MEASURED if publishers >= LEAST_PUBLISHERS else NEAR

    if np.ndim(value) == 0:
        return np.asarray(code(str(value)))
    names, place = np.unique(np.asarray(value, str), return_inverse=True)
    return np.array([code(n) for n in names])[place]


def _name_reason(known: Record, name: str, value: ArrayLike, words: str) -> Callable[[], Reason]:
    def reason() -> Reason:
        text = str(np.ravel(value)[0])
        one = known["names"][name].get(text, 0)
        what = Reason.of(words, name=called(text))
        return Reason.of(ALONE if one else NONE, what=what)

    return reason


ALONE = "one publisher's measurements alone {what}"
NONE = "no measurement {what}"
TOGETHER = "of {names} together"
IN_SUCH = "no measurement {what} in such settings"
BEYOND, BELOW = "beyond {number}", "below {number}"
NEWEST = "the newest {engine} that was measured is {version}"
NEWEST_OF = "the newest {engine} that was measured is {version} ({month})"
NAMES = {
    "tensorrt-llm": "TensorRT-LLM",
    "vllm": "vLLM",
    "sglang": "SGLang",
    "fp8": "FP8",
    "kernel": "single kernels",
}
"""How a value is written where that is not its id."""


def _joint_ranges(
    known: Record, of: Topic, said: Mapping[str, Any]
) -> tuple[Codes, dict[str, np.ndarray]]:
    """Return how many publishers measured the names together, and the ranges of their numbers."""
    parts = np.broadcast_arrays(*(np.asarray(said[n], str) for n in of.joint))
    keys = ["|".join(values) for values in zip(*(p.ravel() for p in parts), strict=True)]
    names, place = np.unique(keys, return_inverse=True)
    cells = [known["joint"].get(n, {}) for n in names]
    shape = parts[0].shape
    publishers = np.array([cell.get("publishers", 0) for cell in cells])[place].reshape(shape)
    blank = (np.nan, np.nan)
    low_high = {
        n: np.array([cell.get("numbers", {}).get(n, blank) for cell in cells])[place].reshape(
            (*shape, 2)
        )
        for n in of.numbers
    }
    return publishers, low_high


def _together(
    known: Record, of: Topic, said: Mapping[str, Any], publishers: Codes
) -> tuple[Codes, Callable[[], Reason]]:
    """Return near where names that each are known were not measured together by several."""
    few = publishers < LEAST_PUBLISHERS
    for name in of.joint:  # what one name lacks is said of that name
        few = few & (_name_codes(known["names"][name], said[name], FAR) == MEASURED)

    def reason() -> Reason:
        values = [str(np.ravel(said[n])[0]) for n in of.joint]
        said_of = {n: NAMES.get(v, v) for n, v in zip(of.joint, values, strict=True)}
        listed = Reason.of(", ".join(f"{{{n}}}" for n in of.joint), **said_of)
        together = Reason.of(TOGETHER, names=listed)
        return Reason.of(ALONE if np.ravel(publishers)[0] else NONE, what=together)

    return np.where(few, NEAR, MEASURED), reason


def _number(
    over: Sequence[float], own: np.ndarray | None, value: ArrayLike, words: str
) -> tuple[Codes, Callable[[], Reason]]:
    """Return the level of a number beside the ranges of all rows and of its own kind."""
    number = np.asarray(value, float)
    low, high = over
    outside = (number < low / SLIGHTLY) | (number > high * SLIGHTLY)
    bounds = np.asarray(over) if own is None else own
    beside = (number < bounds[..., 0]) | (number > bounds[..., 1])
    code = np.where(outside, FAR, np.where(beside, NEAR, MEASURED))

    def reason() -> Reason:
        one, far = float(np.ravel(number)[0]), bool(np.ravel(outside)[0])
        least, most = (low, high) if far else (float(v) for v in np.ravel(bounds)[:2])
        size = format_bytes if BYTES in words else _count
        above = one > most
        side = Reason.of(BEYOND if above else BELOW, number=size(most if above else least))
        what = Reason.of(words, bound=side)
        return Reason.of(NONE if far or own is None else IN_SUCH, what=what)

    return code, reason


BYTES = "messages"
"""What is counted in bytes."""


def _count(number: float) -> str:
    """Write a bound: 131,072 tokens are 128k.

    >>> _count(131072), _count(0.5), _count(2048)
    ('128k', '0.5', '2,048')
    """
    if number >= 8192 and number % 1024 == 0:
        return f"{number / 1024:,.0f}k"
    return f"{number:,.0f}" if number >= 10 else f"{number:.3g}"


def _version(
    newest: Mapping[str, Sequence[str]], said: Mapping[str, Any]
) -> tuple[Codes, Callable[[], Reason]]:
    """Return near where a version of an engine is newer than all that were measured."""
    name = str(np.ravel(said["engine"])[0])
    last, date = newest.get(name, ("", ""))
    asked = version_number(str(np.ravel(said["version"])[0]))
    newer = bool(last) and asked[:2] > version_number(last)[:2]
    about = {"engine": NAMES.get(name, name), "version": last}
    reason = Reason.of(NEWEST_OF if date else NEWEST, **about, month=_month(date))
    return np.asarray(NEAR if newer else MEASURED), lambda: reason


def version_number(text: str) -> tuple[int, ...]:
    """Return a version as numbers; nothing where it is none, such as a date.

    >>> version_number("0.6.3.post2"), version_number("main"), version_number("2025-08")
    ((0, 6, 3), (), ())
    """
    found = []
    for part in text.lower().removeprefix("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found) if found and found[0] < FIRST_YEAR else ()


FIRST_YEAR = 2000
"""From here on a number is a year, not a version."""
MONTH = "{month} {year}"
MONTHS = "January February March April May June July August September October November December"


def _month(date: str) -> Reason:
    """Write a date as month and year.

    >>> _month("2026-04-12")
    'April 2026'
    """
    year, _, rest = date.partition("-")
    if not rest[:2].isdigit():
        return Reason.of("{year}", year=year)
    return Reason.of(MONTH, month=MONTHS.split()[int(rest[:2]) - 1], year=year)
