"""Commands that answer one question of a topic."""

from typing import TYPE_CHECKING, Any

from gpuspec.base.errors import InputError
from gpuspec.cli.asking import asking
from gpuspec.cli.common import echo_json, echo_runs, print_table, tell
from gpuspec.cli.options import json_option, run_option
from gpuspec.views.columns import amount, headings
from gpuspec.views.language import say
from gpuspec.views.words import counted, days_with_interval, ground_sentence, grounds_sentence

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from gpuspec.topics.cost.api import ApiQuestion
    from gpuspec.topics.cost.ask import CostQuestion
    from gpuspec.topics.memory.model import ModelQuestion
    from gpuspec.topics.mig.ask import MigQuestion
    from gpuspec.topics.posttraining.ask import PostTrainingQuestion
    from gpuspec.topics.serving.ask import EstimateQuestion, ImagesQuestion
    from gpuspec.topics.training.ask import TrainingQuestion


@asking("model", first="model", needed=True, name="model")
@json_option
def model_(question: "ModelQuestion", as_json: bool) -> None:
    """Say what is understood of MODEL (a name, or the path of a config.json).

    \b
    gpuspec model openai/gpt-oss-120b --context 131072
    gpuspec model ./config.json --json
    """
    from gpuspec.topics.memory.model import description

    found = description(question)
    if as_json:
        echo_json(found)
        return
    gb, used = 1e9, f"of which a token uses {found['params_active']:,}"
    rows = [
        ["parameters", f"{found['params_text']:,}, {used}"],
        ["towers", f"{found['params_towers']:,} parameters beside them, "
                   f"{found['weights_bytes_towers'] / gb:,.1f} GB"],
        ["MTP layers", f"{found['params_mtp']:,} parameters beside them"],
        *(["layers", f"{count} of {kind}"] for kind, count in found["layers"].items()),
        ["weights", f"{found['weights_bytes'] / gb:,.1f} GB: {found['format']}"],
        ["cache", f"{found['kv_bytes_per_token']:,.0f} bytes a token in {found['kv_format']}; "
                  f"{found['cache_bytes_at_context'] / gb:,.2f} GB at {found['context']:,} tokens"],
        ["state", f"{found['state_bytes_per_sequence'] / gb:,.3f} GB a sequence, however long"],
        ["longest context", f"{found['max_context']:,} tokens"],
    ]  # fmt: skip
    none = {"towers": "params_towers", "MTP layers": "params_mtp"}
    none |= {"state": "state_bytes_per_sequence", "longest context": "max_context"}
    none |= {"cache": "cache_bytes_at_context"}
    print_table(
        [found["name"], found["kind"]], [r for r in rows if found.get(none.get(r[0], "id"))]
    )
    told = len(question.network.warnings)  # on stderr already
    for sentence in filter(None, (*found["warnings"][told:], found["notes"])):
        tell(f"\nnote: {sentence}")


@asking("estimate", first="model", needed=True)
@json_option
@run_option
def estimate(question: "EstimateQuestion", as_json: bool, as_run: bool) -> None:
    """Say how fast GPUs serve MODEL (a name, or the path of a config.json), in which layout.

    \b
    gpuspec estimate Llama-3.1-70B --use-case chat --users 5000
    gpuspec estimate Llama-3.1-70B --lengths trace.csv --gpus A100,H100,H200
    gpuspec estimate Llama-3.1-70B --gpus H200 --tp 2 --weights fp8 --concurrency 32
    gpuspec estimate DeepSeek-R1 --gpus H200 --tp 8 --attention-dp 8 --concurrency 256
    gpuspec estimate DeepSeek-R1 --gpus H100 --tp 16 --prefill-gpus 32 --decode-gpus 64
    gpuspec estimate Qwen3-32B --gpus H200 --engine vllm --users 2000 --run
    """
    from gpuspec.topics.serving import estimates
    from gpuspec.topics.serving import words as said
    from gpuspec.topics.serving.running import estimate_runs

    q = question
    rows = estimates(q)
    if not any(row["works"] for row in rows):
        layout = f"{rows[0]['gpus']} x {rows[0]['gpu']} in {rows[0]['weights']}"
        raise InputError("layout", layout, rows[0]["reason"])
    runs = estimate_runs(q, rows) if as_run else []
    if as_json:
        load: dict[str, object] = {
            "load_asked": said.load_sentence(q),
            "software": said.software_sentence(q),
        }
        load |= {"run": [run.told() for run in runs]} if as_run else {}
        echo_json({**rows[0], **load} if len(rows) == 1 else {**load, "estimates": rows})
        return
    if as_run:
        echo_runs(runs)
        return
    tell(f"{said.load_sentence(q)}\n{said.formats_sentence(q)} {said.software_sentence(q)}\n")
    if len(rows) == 1:
        _tell_estimate(rows[0])
    else:
        _tell_estimates(rows)
    for row in rows:
        if row.get("waiting"):
            tell(_waiting(row))
    apart = [row for row in rows if row.get("apart")]
    for row in apart:
        kept = row["gpus"] if row.get("keeps_limits") else 0
        tell(said.apart_sentence(f"{row['gpu']} in {row['weights']}", kept, row["apart"]))
    if apart:
        tell(said.apart_caution())


def _waiting(row: dict[str, Any]) -> str:
    """Say what does not fit, and how long it waits."""
    where = f"{row['gpu']} in {row['weights']}, {_layout(row)}"
    if row["waiting"] == float("inf"):
        most = row["requests_s_sustained"]
        return f"{where}: the queue grows for ever; a replica sustains {most:.3g} requests/s"
    each = " of each replica" if row["replicas"] > 1 else ""
    return (
        f"{where}: memory holds {row['max_concurrency']:,.0f} requests{each}, "
        f"{row['waiting']:,.0f} wait for {row['waiting_s']:,.3g} s"
    )


def _layout(row: dict[str, Any]) -> str:
    from gpuspec.formulas.splits import Split

    split = Split(*(row[name] for name in Split._fields)).words.replace("one GPU", "TP 1")
    if "separate" in row:
        sides = row["separate"]
        return f"{sides['prefill_gpus']} read, {sides['decode_gpus']} write in {split}"
    return f"{row['replicas']} x {split}" if row["replicas"] > 1 else split


def _tell_estimates(found: list[dict[str, Any]]) -> None:
    """Print a row for each GPU and format; times are those of a replica."""
    rate = "requests_s_within" if any("requests_s_within" in row for row in found) else ""
    rows = []
    for row in found:
        start = [row["gpu"], row["weights"], _layout(row), f"{row['gpus']:,}"]
        if not row["works"]:
            rows.append([*start, *[""] * 7, row["reason"]])
            continue
        ttft, tpot = _times(row)
        tokens = row.get("output_tokens_s") or row["tokens_s"]
        total, low, high = (f"{v * row['replicas']:,.0f}" for v in tokens)
        cache = most = ""
        if "cache_tokens" in row:
            cache = f"{row['cache_tokens_used']:,.0f} of {row['cache_tokens']:,.0f}"
        if "concurrency_within" in row:
            most = f"{row.get(rate, row['concurrency_within']) * row['replicas']:,.3g}"
        times = [f"{ttft:,.2f}", f"{tpot * 1e3:,.1f}", f"{total} ({low} to {high})"]
        flight = _few(row["load"] * row["replicas"])
        keeps = "kept" if row["keeps_limits"] else "not kept"
        rows.append([*start, *times, flight, cache, most, f"{keeps}; {row['bound']}"])
        rows[-1].insert(-1, row["ground"]["level"] if "ground" in row else "")
    first = headings("gpu", "weight", "split", "gpus", "ttft_s", "tpot_s")
    first[-2:] = [f"{name} (95 %)" for name in first[-2:]] if rate else first[-2:]
    largest = "Most requests/s" if rate else "Most in flight"
    heads = [*first, "Tokens/s (80 %)", "In flight", "Cache tokens of a replica", largest]
    print_table([*heads, *headings("ground"), "Limits; bound by"], rows)
    told = {f"{row['gpu']}, {row['weights']}": row["ground"] for row in found if "ground" in row}
    tell("\n" + grounds_sentence({of: (g["level"], g["reasons"]) for of, g in told.items()}))


def _few(count: float) -> str:
    """Write a number of requests, a small mean with its digits."""
    return f"{count:,.0f}" if count >= 10 or count == int(count) else f"{count:.2g}"


def _times(row: dict[str, Any]) -> tuple[float, float]:
    """Return the seconds that a table shows: means, or those that 95 % of random arrivals keep."""
    if "arrivals" in row:
        return row["arrivals"]["ttft_p95_s"], row["arrivals"]["tpot_p95_s"]
    first = row["sequence_s"] if "sequence_s" in row else row["ttft_s"]
    return first[0], row.get("tpot_s", (0.0,))[0]


def _tell_estimate(answer: dict[str, Any]) -> None:
    from gpuspec.topics.serving.load import BOUNDS

    rows = []
    for label, name, scale in (
        ("TTFT, ms", "ttft_s", 1e3),
        (headings("tpot_s")[0], "tpot_s", 1e3),
        ("output tokens/s", "output_tokens_s", 1.0),
        ("ms a sequence", "sequence_s", 1e3),
        ("sequences/s", "sequences_s", 1.0),
        ("tokens/s", "tokens_s", 1.0),
    ):
        if name not in answer:
            continue
        of = " of a replica" if answer["replicas"] > 1 and label.endswith("/s") else ""
        rows.append([label + of, *(f"{v * scale:,.1f}" for v in answer[name])])
    print_table(["", *headings("estimated", "estimated_low"), "high (80 %)"], rows)
    each = "each replica with " if answer["replicas"] > 1 else ""
    most = answer["max_concurrency"]
    tell(
        f"\n{answer['gpus']} x {answer['gpu']}, {_layout(answer)}: {each}"
        f"{_few(answer['load'])} requests in flight; memory holds {most:,.0f}; "
        + ("the limits are kept" if answer["keeps_limits"] else "a limit is not kept")
    )
    if "cache_tokens" in answer:
        used, whole = answer["cache_tokens_used"], answer["cache_tokens"]
        tell(f"cache: {used:,.0f} of {whole:,.0f} tokens ({used / whole:.0%})")
    if "concurrency_within" in answer:
        tell(_largest(answer))
    if "arrivals" in answer:
        _tell_arrivals(answer["arrivals"])
    if "separate" in answer:
        _tell_separate(answer["separate"], answer["same_gpus"])
    total = sum(answer["parts"].values())
    shares = sorted(answer["parts"].items(), key=lambda part: -part[1])
    told = say(", ").join(f"{say(BOUNDS[name])} {seconds / total:.0%}" for name, seconds in shares)
    bound = answer["bound"]
    if "sequences_s" in answer:
        tell(say("a batch is bound by {bound}: {parts}", bound=bound, parts=told))
    else:
        tell(say("a token step is bound by {bound}: {parts}", bound=bound, parts=told))
    if "ground" in answer:
        tell(ground_sentence(**answer["ground"]))


def _tell_separate(sides: dict[str, Any], same: dict[str, Any]) -> None:
    times = [sides[f"{name}_s"] * 1e3 for name in ("queue", "prefill", "transfer")]
    tell(
        f"{sides['prefill_gpus']} GPUs read prompts ({sides['prefill_busy']:.0%} busy), "
        f"{sides['decode_gpus']} write {sides['decoding']:,.0f} answers; a prompt waits "
        f"{times[0]:,.0f} ms, is read in {times[1]:,.0f} ms, and its cache of "
        f"{sides['transfer_bytes'] / 1e6:,.0f} MB adds {times[2]:,.1f} ms"
    )
    most = ", ".join(f"{side} {rate:,.1f}" for side, rate in sides["requests_s_most"].items())
    tell(
        f"requests/s of each side at most: {most}; one decode GPU at this load needs "
        f"{sides['prefill_gpus_per_decode_gpu']:.2f} prefill GPUs"
    )
    copies = counted(same["replicas"], "replica")
    tell(f"as many GPUs that read and write, {copies}: {_tell_same(same)}")


def _tell_same(same: dict[str, float]) -> str:
    if same["ttft_s"] == float("inf"):
        return "they do not sustain the rate"
    return (
        f"TTFT {same['ttft_s'] * 1e3:,.0f} ms, TPOT {same['tpot_s'] * 1e3:,.1f} ms, "
        f"{same['output_tokens_s']:,.0f} output tokens/s"
    )


def _largest(answer: dict[str, Any]) -> str:
    """Say the largest load of a replica within the limits, and that it sustains at all."""
    within = f"{answer['concurrency_within']:,.0f} requests in flight"
    if "requests_s_within" in answer:
        within = f"{answer['requests_s_within']:.3g} requests/s"
    said = f"largest load of a replica within the limits: {within}"
    if "requests_s_sustained" in answer:
        said += f"; sustained at all: {answer['requests_s_sustained']:.3g} requests/s"
    return said


def _tell_arrivals(seen: dict[str, float]) -> None:
    if seen["utilisation"] >= 1:
        tell(f"the rate is {seen['utilisation']:.2f} times what the replica can sustain")
        return
    for name in ("ttft", "tpot"):
        times = ", ".join(f"p{p} {seen[f'{name}_p{p}_s'] * 1e3:,.0f}" for p in (50, 95, 99))
        tell(f"{name.upper()} at that rate, ms: {times}")
    tell(f"{seen['in_flight']:,.1f} in flight; {seen['utilisation']:.0%} of what is possible")


@asking("images", first="image_model", needed=True)
@json_option
def images(question: "ImagesQuestion", as_json: bool) -> None:
    """Say how fast GPUs generate images with IMAGE_MODEL, such as SDXL or FLUX.1-dev.

    \b
    gpuspec images SDXL --image-steps 30 --gpus A100,H100
    """
    from gpuspec.topics.serving import images_table

    table = images_table(question)
    if as_json:
        echo_json({"images": table})
        return
    rows = []
    for row in table.to_dict("records"):
        rate = [f"{row[f'images_s{end}']:.2f}" for end in ("", "_low", "_high")]
        rows.append([row["gpu"], row["precision"], f"{row['seconds']:.2f}", *rate])
    heads = headings("gpu", "precision", "image_s", "images_s", "images_s_low")
    print_table([*heads, "high (80 %)"], rows)
    grounds = zip(table["gpu"], table["ground"], strict=True)
    tell("\n" + grounds_sentence({g: (of["level"], of["reasons"]) for g, of in grounds}))


@asking("training", first="model", needed=True, dated=True)
@json_option
@run_option
def train(question: "TrainingQuestion", as_json: bool, as_run: bool) -> None:
    """Say how long MODEL trains on numbers of GPUs, laid out how, with which error.

    \b
    gpuspec train Llama-3.1-70B --tokens 1e12 --deadline-days 30 --gpus H100,H200 --precision fp8
    gpuspec train Llama-3.1-8B --tokens 1e9 --gpus H100 --counts 8 --tuning lora --run
    """
    from gpuspec.topics.training import deadline_table, runs_table
    from gpuspec.topics.training.running import training_runs
    from gpuspec.topics.training.words import deadline_finding, runs_ground

    runs = runs_table(question)
    answer = deadline_table(question, runs)
    started = training_runs(question, answer) if as_run else []
    if as_json:
        more = {"run": [run.told() for run in started]} if as_run else {}
        echo_json({"runs": runs, **more})
        return
    if as_run:
        echo_runs(started)
        return
    _tell_runs(runs)
    tell("\n" + deadline_finding(question, answer))
    tell(runs_ground(answer))


def _tell_runs(runs: "pd.DataFrame") -> None:
    from gpuspec.topics.training.words import layout_more

    rows = []
    for r in runs.to_dict("records"):
        split = f"TP {r['tp']} PP {r['pp']} CP {r['cp']} EP {r['ep']} DP {r['dp']}"
        start = [r["gpu"], f"{r['gpus']:,}"]
        if not r["works"]:
            rows.append([*start, "", "", "", r["reason"]])
            continue
        span = days_with_interval(r["days"], r["days_low"], r["days_high"])
        found = [span, f"{r['mfu']:.0%}", amount(r["gpu_hours"])]
        rows.append([*start, *found, f"{split}{layout_more(r)}, bound by {r['bound']}"])
    first, last = headings("gpu", "gpus"), headings("mfu", "gpu_hours")
    print_table([*first, "Time (80 %)", *last, "Layout, or why not"], rows)


@asking("posttraining", first="model", needed=True, dated=True)
@json_option
def posttrain(question: "PostTrainingQuestion", as_json: bool) -> None:
    """Say how long MODEL learns from its own answers (GRPO, PPO) on numbers of GPUs.

    \b
    gpuspec posttrain Qwen3-8B --steps 500 --prompts 128 --osl 4000 --max-osl 16000
    gpuspec posttrain Llama-3.1-8B --algorithm ppo --placement apart --counts 16,32 --gpus H100
    """
    from gpuspec.topics.posttraining import deadline_table, runs_table
    from gpuspec.topics.posttraining.words import errors_sentence, run_finding, run_sentences

    runs = runs_table(question)
    if as_json:
        echo_json({"runs": runs})
        return
    _tell_steps(runs)
    answer = deadline_table(question, runs)
    tell("\n" + run_finding(question, answer))
    tell(run_sentences(question, answer))
    tell(errors_sentence())


def _tell_steps(runs: "pd.DataFrame") -> None:
    from gpuspec.topics.posttraining.words import layout

    rows = []
    for r in runs.to_dict("records"):
        start = [r["gpu"], f"{r['gpus']:,}"]
        if not r["works"]:
            rows.append([*start, *[""] * 5, r["reason"]])
            continue
        step = f"{amount(r['step_s'])} ({amount(r['step_s_low'])} to {amount(r['step_s_high'])})"
        span = days_with_interval(r["days"], r["days_low"], r["days_high"])
        cost = amount(r["usd"]) if r["usd"] == r["usd"] else ""
        found = [step, f"{r['generation_share']:.0%}", span, amount(r["gpu_hours"]), cost]
        rows.append([*start, *found, layout(r)])
    heads = [*headings("gpu", "gpus"), "Step, s (80 %)", "Answers", "Time (80 %)"]
    print_table([*heads, *headings("gpu_hours", "usd"), "Layout, or why not"], rows)


@asking("mig", first="tenants", name="mig", dated=True)
@json_option
@run_option
def mig_(question: "MigQuestion", as_json: bool, as_run: bool) -> None:
    """Pack the TENANTS of a CSV file (or "example") on the fewest or cheapest GPUs with MIG.

    \b
    gpuspec mig tenants.csv --gpus A100,H100,H200
    Columns: docs/mig.md.
    """
    from gpuspec.topics.mig import answer as tables
    from gpuspec.topics.mig import pack, tenant_options
    from gpuspec.topics.mig.ground import packing_ground
    from gpuspec.topics.mig.words import packing_finding

    options = tenant_options(question)
    found = pack(question, options)
    ground = packing_ground(found, options)
    if as_run and not as_json:
        tell("\n".join(tables.commands(found)))
        return
    if as_json:
        names = ("gpus", "usd_per_hour", "gap", "unplaced")
        told = {name: getattr(found, name) for name in names}
        told |= {"placements": found.placements, "ground": ground.told()}
        echo_json({**told, "commands": tables.commands(found)})
        return
    rows = [
        [row["tenant"], f"{row['load']:.0%}", f"{row['usd']:.2f}", row["place"]]
        for row in tables.headroom_table(found, options).to_dict("records")
    ]
    print_table(headings("tenant", "load", "usd_per_hour", "place"), rows)
    tell("\n" + packing_finding(question, found))
    if len(found.placements):
        tell(ground_sentence(**ground.told()))
    for tenant in found.unplaced:
        reasons = options.loc[options["tenant"] == tenant, "reason"]
        tell(f"no place for {tenant}: {reasons.iloc[-1]}")
    tell("\n" + "\n".join(tables.commands(found)))


@asking("cost", first="gpus", dated=True)
@json_option
def prices(question: "CostQuestion", as_json: bool) -> None:
    """Say what an hour of GPUS costs in use: rented in each way, and owned.

    \b
    gpuspec prices H100,H200 --used-hours-share 0.5 --quotes H100:on-demand=2.10
    """
    from gpuspec.topics.cost import ways_table, with_unpriced
    from gpuspec.topics.cost.words import age_sentences, services_sentence

    table = ways_table(question)
    if as_json:
        unpriced = [{"gpu": gpu, "modes": modes} for gpu, modes in question.unpriced()]
        echo_json({"day": str(question.day), "ways": table, "unpriced": unpriced})
        return
    rows = [
        [r["gpu"], r["way"], *(f"{r[end]:,.2f}" for end in ("low", "central", "high")),
         r["as_of"], r["grade"], _price_note(r)]
        for r in table.to_dict("records")
    ]  # fmt: skip
    bare = with_unpriced(table, question)[len(table) :]
    rows += [[row["gpu"], row["way"], *[""] * 6] for row in bare.to_dict("records")]
    first, last = headings("gpu", "way", "low"), headings("high", "as_of", "grade", "note")
    print_table([*first, f"{question.currency} a used hour", *last], rows)
    day = say("Prices of {day}.", day=question.day)
    tell(f"\n{day} {age_sentences(question)}\n{services_sentence(question)}")


@asking("api", first="model", needed=True, dated=True)
@json_option
def api(question: "ApiQuestion", as_json: bool) -> None:
    """Say what the load of MODEL costs by API, beside GPUs by the hour.

    \b
    gpuspec api Llama-3.3-70B --use-case chat --users 200
    gpuspec api gpt-oss-120b --request-rate 2 --isl 2000 --osl 500 --api-price input=0.1,output=0.5
    """
    from gpuspec.topics.cost.api import api_answer
    from gpuspec.topics.cost.words import api_sentences
    from gpuspec.topics.serving.words import load_sentence

    found = api_answer(question)
    if as_json:
        echo_json(found)
        return
    tell(f"{load_sentence(question)}\n")
    rows = [
        [r["provider"], r["product"], f"{r['input_mtok']:g}", f"{r['output_mtok']:g}",
         f"{r['month_usd']:,.2f}", r["as_of"], r["grade"]]
        for r in found["offers"].to_dict("records")
    ]  # fmt: skip
    named = headings("provider", "product", "input_mtok", "output_mtok", "api_month_usd")
    print_table([*named, *headings("as_of", "grade")], rows)
    rows = [
        [r["gpu"], r["weights"], r["gpus"], _money(r["month_usd"]),
         f"{r['carries_requests_month']:,.0f}", "yes" if r["keeps_limits"] else "no"]
        for r in found["fleets"].to_dict("records")
    ]  # fmt: skip
    tell()
    heads = headings("gpu", "weight", "gpus", "hourly_month_usd", "carries_requests_month")
    print_table([*heads, *headings("keeps_limits")], rows)
    tell("\n" + api_sentences(found))


def _money(value: float) -> str:
    return f"{value:,.0f}" if value == value else "no price"


def _price_note(row: "Mapping[Hashable, object]") -> str:
    from gpuspec.topics.cost.prices.age import LATER

    if row["quoted"]:
        return "your quote"
    notes = ["scaled by us"] * bool(row["derived"])
    moved = float(str(row["carried"])) - 1
    if abs(moved) >= 0.005:
        notes.append(f"{moved:+.0%}: {row['carried_why']}")
    elif row["carried_why"] == LATER:
        notes.append(LATER)
    return "; ".join(notes)
