"""A question in one line: what is stated becomes a scenario, or is laid over that of a file."""

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Self
from unicodedata import normalize

from pydantic import BeforeValidator, Field, model_validator

from gpuspec.base.ask import NUMBER, Ask, Range, Short
from gpuspec.base.days import run_date
from gpuspec.base.errors import InputError, UnknownNameError, renamed
from gpuspec.base.files import MOST_SCENARIO_BYTES, read_text
from gpuspec.base.units import NODE_GPUS
from gpuspec.catalog import fields, gpu, server
from gpuspec.catalog.api_prices import TokenQuote, token_quote
from gpuspec.catalog.models.typical import typical_model
from gpuspec.catalog.phrases import (
    MONTH_DAYS,
    YEAR_DAYS,
    Said,
    folded,
    numeral,
    phrase,
    phrases,
    said_day,
    vocabulary,
)
from gpuspec.decision.scenario.records import ApiUse, Images, Objective, Owned, Prices
from gpuspec.views.language import translator

YEAR_MONTHS, DAY_HOURS = 12, 24
MODEL, USE_CASE, IN_FLIGHT = "70B", "chat", 64
TOKENS, DOCUMENT_TOKENS, SEQ_LEN, DAYS = 1e9, 1000.0, 4096, 30.0
STEPS, LEAST_BATCH, MOST_BATCH = 200, 8, 1024
SIMULATION, SIMULATED_HOURS, REFERENCE = "md", 3000.0, "A100"
"""What is taken where nothing is said: page 1 names each. A run has as many steps as `STEPS` at
least, so that a small set of documents is not seen in two of them."""
LOADS = ("users", "concurrency", "request_rate")
"""Fields that state the load of a service, one of them alone."""
OF_SERVICE = (*LOADS, "use_case", "isl", "osl", "api_price")
OTHER_LOADS = ("concurrency", "request_rate", "users", "requests_per_hour", "think_s")
SIZES = ("tokens", "documents", "document_tokens", "epochs")
OF_JOB = ("tokens", "documents", "document_tokens", "tuning")
OF_SIMULATION = ("simulation", "gpu_hours")
OF_IMAGES = ("images_per_s", "image_model", "image_steps", "image_size")
OF_TENANTS = ("tenants",)
HOMES = {
    "inference": OF_SERVICE,
    "training": OF_JOB,
    "hpc": OF_SIMULATION,
    "images": OF_IMAGES,
    "tenants": OF_TENANTS,
}
"""Fields of each kind of work; the first work of the kind takes them."""
TIMES = ("deadline", "deadline_days")
NAMED = {"simulation": "workload", "tenants": "table"}
NAMED |= {"image_model": "model", "image_steps": "steps", "image_size": "size"}
"""What fields of a scenario are called, where a line calls them otherwise."""
WORK = ("model", *(name for names in HOMES.values() for name in names), *TIMES, "ai_share")
"""Fields that say what is to be done."""
IMAGES_PER_S = 1.0
NONE = ("none", "nothing", "no", "无", "没有")
BUDGET = (
    "write it as 30,000 USD/month, 500k capital or 20万元 (in all), or several with + between them"
)
TENANTS = (
    "write it as 12 x Llama-3.2-1B, 3 x Llama-3.1-8B, or give a CSV file, or its lines with ; "
    "between (columns: docs/mig.md)"
)
OWNED = "write it as 16 x A100, 8 x H100 or 8张A100, or none"
SERVERS = "say how many GPUs a server has, such as 2台8卡A100 or 2 nodes of 8 A100"
DEADLINE = "give a time such as 30d, 2 weeks or 7天, or a day such as 2026-12-04 or friday"
_DAYS = Said(0, 36_500, "days", above=True)
_COUNT = r"([0-9]{1,9}|[一二两三四五六七八九十百千]{1,7}|[a-zA-Z]{3,6}(?=\s))"
_COUNTED = re.compile(rf"{_COUNT}\s*[x×*张块卡个]?\s*([^\W\d_].*)")
_NODES = re.compile(
    rf"{_COUNT}\s*(?:[x×*台]|(?:nodes?|servers?)\s+(?:of|with))\s*"
    rf"{_COUNT}\s*[x×*张块卡个]?\s*([^\W\d_].*?)\s*(?:服务器|整机|机器)?"
)
_PLURAL = re.compile(r"(.*?\d(?:gb?)?)s?(?:\s+gpus?|\s+cards?)?", re.IGNORECASE)
_SYSTEMS = re.compile(r"\s*(?:servers?|systems?|nodes?|服务器|整机|机器)$", re.IGNORECASE)
_COUNT_LAST = re.compile(r"(\S.*?)\s*[x×*]\s*([0-9]{1,9})\s*[张块卡个]?")
_DATE = re.compile(r"[0-9]{1,2} ?[月日]前?")
"""The 30th, or 30 days; March, or 3 months."""
_WORDED = re.compile("[百千万亿]")
"""Who writes amounts so may think of yuan."""
_KINDS = re.compile(r"\s*(?:[,;，；、+]|\band\b|和)\s*")


# --- phrases of several parts ---------------------------------------------------------------------


def said_deadline(text: str) -> dict[str, object]:
    """Return ``deadline_days`` of a time, or ``deadline`` of a day.

    >>> said_deadline("2 weeks")
    {'deadline_days': 14.0}
    """
    if _DATE.fullmatch(folded(text)):
        days = "天 or 个月 for a time, and month and day, such as 12月4日, for a day"
        raise InputError("", text, f"it may be a date or a time: write {days}")
    said = phrase(text)
    if said is not None and said.unit == "days":
        return {"deadline_days": _DAYS.read(text, False)}
    try:
        return {"deadline": str(said_day(text))}
    except InputError as error:
        known = "after that of the run" in error.valid or "calendar" in error.valid
        raise InputError("", text, error.valid if known else DEADLINE) from None


def said_budget(text: str) -> dict[str, tuple[float, str]]:
    """Return amounts with their currency (empty: USD), by the fields of a scenario's budget.

    >>> said_budget("30k/month + 500k capital")
    {'monthly_usd': (30000.0, ''), 'capital_usd': (500000.0, '')}
    """
    found: dict[str, tuple[float, str]] = {}
    for said in phrases(text) or []:
        months = {MONTH_DAYS: 1.0, YEAR_DAYS / 4: 3.0, YEAR_DAYS: 12.0}.get(said.per_days, 0.0)
        name = f"{said.label or 'total'}_usd" if not said.per_days else "monthly_usd"
        wrong = said.per_days and (said.label or not months)
        if wrong or said.unit not in ("", "USD", "CNY") or name in found:
            raise InputError("", text, BUDGET)
        found[name] = said.number / (months or 1.0), said.unit
    if not found:
        raise InputError("", text, BUDGET)
    if len({unit or "USD" for _, unit in found.values()}) > 1:
        raise InputError("", text, "give all amounts in one currency, USD or CNY")
    return found


def owned_list(text: str) -> list[dict[str, str | int]]:
    """Read ``"16 x A100, 8 x H100"``.

    >>> owned_list("16xA100, 8 H100 PCIe")
    [{'gpu': 'A100', 'count': 16}, {'gpu': 'H100 PCIe', 'count': 8}]
    >>> owned_list("8张A100 和 H200 x 2")
    [{'gpu': 'A100', 'count': 8}, {'gpu': 'H200', 'count': 2}]
    """
    if text.strip().lower() in NONE:
        return []
    owned: list[dict[str, str | int]] = []
    for part in _KINDS.split(normalize("NFKC", text).strip()):
        match = _NODES.fullmatch(part)
        if match and (each := _number(match[2])) is not None:  # DGX is no number
            nodes, name = _number(match[1]), match[3]
            count = nodes * each if nodes is not None else None
        elif match := _COUNTED.fullmatch(part):
            count, name = _number(match[1]), match[2]
        elif match := _COUNT_LAST.fullmatch(part):
            count, name = numeral(match[2]), match[1]
        if not match or count is None:
            raise InputError("", text, OWNED)
        owned.append(_held(_singular(name), count))
    return owned


def _held(name: str, count: int) -> dict[str, str | int]:
    """Return GPUs by their name, or those of so many servers that go by it.

    >>> _held("H100", 8), _held("DGX H100", 2)
    ({'gpu': 'H100', 'count': 8}, {'gpu': 'h100-sxm-80', 'count': 16})
    """
    try:
        gpu(name)
    except UnknownNameError:
        try:
            found = server(_SYSTEMS.sub("", name.removeprefix("台")).strip())
        except UnknownNameError:
            return {"gpu": name, "count": count}
        except InputError:  # several servers of that name
            raise InputError("gpu", name, SERVERS) from None
        return {"gpu": found.gpu_id, "count": count * found.gpu_count}
    return {"gpu": name, "count": count}


def _singular(name: str) -> str:
    """Return the name of a GPU without a plural; an L40S is none.

    >>> _singular("A100s"), _singular("L40S"), _singular("H100 cards")
    ('A100', 'L40S', 'H100')
    """
    try:
        gpu(name)
    except UnknownNameError:
        return _PLURAL.sub(r"\1", name)
    return name


def _number(text: str) -> int | None:
    """Return a whole number in digits or in words; None for what is none."""
    word = vocabulary()["number"].get(text.lower())
    return numeral(text) if word is None or word.value % 1 else int(word.value)


def tenant_list(text: str) -> list[dict[str, str]]:
    """Read ``"12 x Llama-3.2-1B, 3 x Llama-3.1-8B"``, the name of a CSV file, or its lines with ;
    between, as rows of the table of tenants.

    >>> tenant_list("12 x Llama-3.2-1B")
    [{'name': 'Llama-3.2-1B', 'model': 'Llama-3.2-1B', 'copies': '12'}]
    """
    from gpuspec.topics.mig.reading import tenant_rows

    said = [_COUNTED.fullmatch(part) for part in _KINDS.split(normalize("NFKC", text).strip())]
    found: list[dict[str, str]] = []
    for match in said:
        count = match and _number(match[1])
        if match and count and not match[2].lower().endswith(".csv"):
            name = match[2].strip()
            found.append({"name": name, "model": name, "copies": str(count)})
    if len(found) == len(said):
        return found
    if found:
        raise InputError("", text, TENANTS)
    if not any(mark in text for mark in "\n;") and text != "example":
        read_text("", text, MOST_SCENARIO_BYTES)  # says what is wrong with a file
    return [dict(cells) for _, cells in tenant_rows(text)]


def _tenants(text: str) -> None:
    """Check tenants: rows, names, numbers."""
    from gpuspec.topics.mig.reading import cells_of, every_tenant
    from gpuspec.topics.serving import ServingQuestion

    try:
        every_tenant(tuple(map(cells_of, tenant_list(text))), ServingQuestion.ask(), 0.0, 1.0)
    except InputError as error:
        raise renamed(error, error.field.removeprefix("tenants").lstrip(":,. ")) from None


def _token_price(text: str) -> None:
    """Check a price by API."""
    TokenQuote.of(token_quote(text))  # type: ignore[arg-type]


def _owned(text: str) -> None:
    """Check what is owned: numbers and names."""
    for row in owned_list(text):
        Owned.of(row)


def _share(value: object) -> object:
    """Read a share in percent as one of 1."""
    text = normalize("NFKC", value).strip() if isinstance(value, str) else ""
    number = text.removesuffix("%").strip()
    if number != text and NUMBER.fullmatch(number):
        return float(number) / 100
    if text and not NUMBER.fullmatch(text):
        raise InputError("", value, "give a number above 0 to less than 1, or a share such as 40%")
    return text or value


def _kept(read: Any) -> BeforeValidator:
    """Return a check of a phrase that keeps it as it was said."""

    def check(value: object) -> object:
        if isinstance(value, str) and value.strip():
            read(value.strip())
            return value.strip()
        return None if value is None or value == "" else str(value)

    return BeforeValidator(check)


# --- the record -----------------------------------------------------------------------------------


class Line(Ask):
    """What a buyer states beside a scenario, or instead of one; None is as it is there."""

    model: fields.SizedModel | None = Field(
        None,
        description="Model of the first workload: a name, a config.json, or a size such as 70B "
        "or 700亿, for which a typical model stands",
    )
    users: fields.Users | None = Field(
        None, description="People who use the first service, the idle ones included"
    )
    concurrency: fields.Requests | None = Field(
        None, description="Requests always in flight of the first service"
    )
    request_rate: Annotated[fields.RequestRate | None, Short("rate")] = Field(
        None, description="Requests of the first service in the busiest hour, such as 5 or 300/min"
    )
    use_case: fields.UseCaseName | None = Field(
        None, description="Use of the first service: chat, code-completion, rag, summarising, batch"
    )
    isl: fields.PromptTokens | None = Field(None, description="Tokens of a prompt of it")
    osl: fields.PromptTokens | None = Field(None, description="Tokens of an answer of it")
    deadline: Annotated[str | None, _kept(said_deadline)] = Field(
        None,
        description="When the first job must be done: within 30d, 2 weeks, 7天, or by a day such "
        "as 2026-12-04 or friday",
    )
    deadline_days: fields.Days | None = Field(
        None, description="Time that the first training job may take"
    )
    tokens: fields.RunTokens | None = Field(
        None, description="Tokens that the first training job trains on"
    )
    documents: fields.Documents | None = Field(
        None, description="Instead of tokens: documents that it trains on"
    )
    document_tokens: fields.DocumentTokens | None = Field(
        None, description="Mean tokens of a document"
    )
    tuning: fields.Tuning | None = Field(
        None, description="What it trains: full (all weights), lora or qlora"
    )
    simulation: fields.WorkloadName | None = Field(
        None, description="Class of a simulation, such as genomics or md (gpuspec list workloads)"
    )
    gpu_hours: fields.Hours | None = Field(
        None, description="Hours of A100 that the simulation takes a month"
    )
    images_per_s: Annotated[fields.ImageRate | None, Short("images")] = Field(
        None, description="Images generated in the busiest hour, such as 2 or 120/min"
    )
    image_model: fields.ImageModelName | None = Field(
        None, description="Diffusion model of the images: SDXL, FLUX.1-dev, FLUX.1-schnell"
    )
    image_steps: fields.ImageSteps | None = Field(None, description="Denoising steps of an image")
    image_size: fields.ImageSize | None = Field(
        None, description="Pixels of the width and height of an image"
    )
    tenants: Annotated[str | None, _kept(_tenants)] = Field(
        None,
        description="Small services that share GPUs, each on a slice: 12 x Llama-3.2-1B (each "
        "answers one request at a time), or a CSV file (columns: docs/mig.md)",
    )
    ai_share: (
        Annotated[float, Range(0, 1, above=True, below=True), BeforeValidator(_share)] | None
    ) = Field(
        None,
        description="Share of the hours, such as 40%, that goes into training a model: the "
        "simulation takes the others",
    )
    budget: Annotated[str | None, _kept(said_budget)] = Field(
        None,
        description="What may be spent: 30,000 USD/month, 500k capital, 20万元 (in all), or "
        "several with + between",
    )
    capital_usd: fields.Usd | None = Field(None, description="Capital that may be spent; 0: none")
    monthly_usd: fields.Usd | None = Field(
        None, description="Money a month that may be spent; 0: none"
    )
    owned: Annotated[str | None, _kept(_owned)] = Field(
        None, description="GPUs that are there already, such as 16 x A100 or 8张A100, or none"
    )
    regions: fields.RegionNames | None = Field(
        None, description="Where the GPUs are wanted: China, US, Europe, ... (gpuspec list regions)"
    )
    horizon_months: fields.Months | None = Field(
        None, description="How long the GPUs are wanted, such as 36 or 3 years"
    )
    objective: Objective | None = Field(
        None, description="What is as small as possible: cost, time, energy or regret"
    )
    gpus: fields.GpuNames | None = Field(None, description="GPUs to choose from, commas between")
    quotes: str | None = Field(
        None, description="Prices of your own, such as h100-sxm-80:on-demand=2.10, or a file"
    )
    api: ApiUse | None = Field(
        None,
        description="Services by API: allowed as an offer like others, compare, or never",
    )
    api_price: Annotated[str | None, _kept(_token_price)] = Field(
        None,
        description="A price of your own for the first service by API, a million tokens in and "
        "out: 0.20/0.60, 2元/8元, or input=0.20,output=0.60,provider=...",
    )
    currency: fields.Currency | None = Field(
        None, description="Currency of the first page: USD or CNY"
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        """Refuse what is said twice: a load, a size, a time, a budget."""
        pairs = [LOADS, ("tokens", "documents"), TIMES]
        pairs += [("budget", "capital_usd"), ("budget", "monthly_usd")]
        for names in pairs:
            said = [n for n in names if getattr(self, n) is not None]
            if len(said) > 1:
                raise InputError(said[1], getattr(self, said[1]), f"give it or {said[0]}, not both")
        if self.document_tokens is not None and self.documents is None:
            valid = "it is of documents: give these beside it"
            raise InputError("document_tokens", self.document_tokens, valid)
        return self

    @classmethod
    def begins(cls, given: Mapping[str, object]) -> bool:
        """Return whether names that are given say what is to be done, so that no file need."""
        return any(name in given for name in WORK)

    def states(self, *names: str) -> bool:
        """Return whether any of these fields is stated."""
        return any(getattr(self, name) is not None for name in names)


# --- what a line asks without a file --------------------------------------------------------------


def question_of(line: Line, language: str | None = None) -> dict[str, Any]:
    """Return a scenario of the work that a line states, with what it takes for granted under
    ``assumed``; its values are not yet in it. Works are named in a language.
    """
    say, model = translator(language), line.model or MODEL
    simulated = line.states(*OF_SIMULATION, "ai_share")
    trained = line.states(*OF_JOB, "ai_share") or (line.states(*TIMES) and not simulated)
    pictured, shared = line.states(*OF_IMAGES), line.states(*OF_TENANTS)
    works: dict[str, dict[str, Any]] = {}
    if line.states(*OF_SERVICE) or not (simulated or trained or pictured or shared):
        works["service"] = _service(line)
    if trained:
        works["training"] = _job(line)
    if simulated:
        works["simulation"] = _simulation(line)
    if pictured:
        works["images"] = _images(line)
    if shared:
        works["tenants"] = {"kind": "tenants"}
    assumed = [
        {"field": f"workloads[{place}].{field}"}
        for place, work in enumerate(works.values())
        for field in work
        if field not in ("kind", "runs_per_year") and not (field == "gpu_hours" and line.gpu_hours)
    ]
    if line.ai_share is not None:
        place = list(works).index("training")
        assumed = [row for row in assumed if row["field"] != f"workloads[{place}].tokens"]
        share = f"{line.ai_share * 100:.3g} %"
        assumed.append({"field": f"workloads[{place}].tokens", "said": share})
    if _WORDED.search(line.budget or "") and not any(
        u for _, u in said_budget(line.budget or "").values()
    ):
        assumed.append({"field": "budget", "said": str(line.budget)})
    title = say(", ").join(map(say, works))
    if not {"service", "training"}.isdisjoint(works):
        title = say("{model}: {works}", model=model, works=title)
    named = [{"kind": work["kind"], "name": say(name)} | work for name, work in works.items()]
    return {"name": title, "assumed": assumed, "workloads": named}


def _service(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "inference"}
    found |= {} if line.model else {"model": MODEL}
    found |= {} if line.states(*LOADS) else {"concurrency": IN_FLIGHT}
    chat = line.users is not None and line.use_case is None
    return found | ({"use_case": USE_CASE} if chat else {})


def _job(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "training"}
    found |= {} if line.model else {"model": MODEL}
    tokens = line.tokens or TOKENS
    if line.documents:
        found |= {} if line.document_tokens else {"document_tokens": DOCUMENT_TOKENS}
        tokens = line.documents * (line.document_tokens or DOCUMENT_TOKENS)
    elif line.ai_share is not None:
        tokens = found["tokens"] = _tokens_of_share(line)
        found["runs_per_year"] = YEAR_MONTHS
    elif line.tokens is None:
        found["tokens"] = TOKENS
    found |= {} if line.states(*TIMES) else {"deadline_days": DAYS}
    batch = 2 ** math.floor(math.log2(max(tokens / SEQ_LEN / STEPS, 1)))
    batch = min(max(batch, LEAST_BATCH), MOST_BATCH)
    return found | ({"global_batch": batch} if batch < MOST_BATCH else {})


def _simulation(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "hpc", "runs_per_year": YEAR_MONTHS}
    found |= {} if line.simulation else {"workload": SIMULATION}
    hours = (line.gpu_hours or SIMULATED_HOURS) * (1 - (line.ai_share or 0.0))
    found |= {"gpu_hours": hours} if line.ai_share or not line.gpu_hours else {}
    return found | ({} if line.states(*TIMES) else {"deadline_days": DAYS})


def _images(line: Line) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "images"}
    found |= {} if line.images_per_s else {"images_per_s": IMAGES_PER_S}
    return found | ({} if line.image_model else {"model": Images.model_fields["model"].default})


def _tokens_of_share(line: Line) -> float:
    """Return the tokens that a node of A100 trains the model on in its share of the hours."""
    from gpuspec.topics.training import TrainingQuestion, runs_table

    name = line.model or MODEL
    job = {"model": typical_model(name) or name, "tokens": TOKENS, "tuning": line.tuning or "full"}
    question = TrainingQuestion.ask(**job, gpus=REFERENCE, counts=[NODE_GPUS], global_batch=64)
    days = float(runs_table(question)["days"].iloc[0])
    if not math.isfinite(days):
        valid = f"{name} does not fit eight {REFERENCE}: name a smaller model, or give its tokens"
        raise InputError("ai_share", line.ai_share, valid)
    hours = (line.gpu_hours or SIMULATED_HOURS) * (line.ai_share or 0.0)
    return float(f"{TOKENS * hours / (days * DAY_HOURS * NODE_GPUS):.3g}")


# --- laid over a scenario -------------------------------------------------------------------------


def values_of(line: Line, base: Mapping[str, Any], built: bool) -> dict[str, object]:
    """Return what a line states by the path of a scenario whose content is `base`.

    The first service takes the load, the first job the tokens and the time, the first of either
    the model; where there is no file (`built`), all works take the model.
    """
    if line.ai_share is not None and not built:
        raise InputError("ai_share", line.ai_share, "a file states its works: leave it blank")
    found = _of_works(line, [work["kind"] for work in base["workloads"]], built)
    if line.owned is not None:
        found["owned"] = owned_list(line.owned)
    if line.budget is not None:
        found |= _budget(line, base.get("prices") or {})
    amounts = [n for n in ("capital_usd", "monthly_usd") if getattr(line, n) is not None]
    found |= {f"budget.{n}": getattr(line, n) for n in amounts}
    found |= {"objective": line.objective, "horizon_months": line.horizon_months}
    found |= {"allow.gpus": line.gpus, "allow.regions": line.regions}
    found |= {"allow.api": line.api, "prices.quotes": line.quotes}
    found |= {"prices.currency": line.currency} if line.currency else {}
    return {path: value for path, value in found.items() if value is not None}


def _of_works(line: Line, kinds: list[str], built: bool) -> dict[str, object]:
    places = {of: [i for i, kind in enumerate(kinds) if kind == of] for of in HOMES}
    services, jobs, simulations = (places[of] for of in ("inference", "training", "hpc"))
    homes = {name: (of, places[of]) for of, names in HOMES.items() for name in names}
    homes |= dict.fromkeys(TIMES, ("training", jobs or simulations))
    found: dict[str, object] = {}
    for name, (kind, at) in homes.items():
        value = getattr(line, name)
        if value is None:
            continue
        if not at:
            valid = f"the scenario has no workload of the kind {kind}; leave it blank"
            raise InputError(name, value, valid)
        if name == "gpu_hours" and line.ai_share:
            continue
        stated: dict[str, object] = {name: value}
        if name == "deadline":
            stated = said_deadline(value)
        elif name == "tenants":
            stated = {name: tenant_list(value)}
        if name in TIMES and simulations and (built or not jobs):
            days = stated.get("deadline_days") or _days_to(str(stated["deadline"]))
            found[f"workloads[{simulations[0]}].deadline_days"] = days
        if not (name in TIMES and not jobs):
            found |= _laid(name, stated, at[0], built)
    if line.model is not None:
        both = sorted([*services, *jobs]) if built else (services or jobs or [0])[:1]
        if not both:
            valid = "no work here runs it: give users of it, or tokens to train it on"
            raise InputError("model", line.model, valid)
        found |= {f"workloads[{place}].model": line.model for place in both}
    return found


def _laid(name: str, stated: dict[str, object], place: int, built: bool) -> dict[str, object]:
    """Return the values of one field; what says the same otherwise in a file gives way."""
    beside: tuple[str, ...] = {"tokens": SIZES, "documents": SIZES}.get(name, ())
    beside = OTHER_LOADS if name in LOADS else TIMES if name in TIMES else beside
    kept = ("requests_per_hour", "think_s") if name == "users" else ()
    here = f"workloads[{place}]"
    found: dict[str, object] = {f"{here}.{n}": "" for n in beside if n not in kept and not built}
    return found | {f"{here}.{NAMED.get(n, n)}": v for n, v in stated.items()}


def _days_to(day: str) -> int:
    return (date.fromisoformat(day) - run_date()).days


def _budget(line: Line, prices: Mapping[str, Any]) -> dict[str, object]:
    stated = said_budget(line.budget or "")
    yuan = any(unit == "CNY" for _, unit in stated.values())
    rate = prices.get("cny_per_usd", Prices().cny_per_usd) if yuan else 1.0
    found: dict[str, object] = {
        f"budget.{n}": round(amount / rate, 2) for n, (amount, _) in stated.items()
    }
    return found | ({"prices.currency": "CNY"} if yuan else {})
