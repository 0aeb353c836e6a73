"""Commands that answer one question of a topic."""

from typing import TYPE_CHECKING, Any

import click

from gpuspec.base.errors import InputError
from gpuspec.cli.common import echo, echo_json, json_option, main, print_table

if TYPE_CHECKING:
    import pandas as pd


@main.command()
@click.argument("model")
@click.option("--gpu", "device", default="H100", show_default=True, help="GPU.")
@click.option("--tp", default=1, show_default=True, help="Tensor-parallel size.")
@click.option("--pp", default=1, show_default=True, help="Pipeline stages.")
@click.option("--weights", default="bf16", show_default=True, help="Format of the weights.")
@click.option("--kv", default="bf16", show_default=True, help="Format of the cache.")
@click.option("--isl", default=2048, show_default=True, help="Input tokens.")
@click.option("--osl", default=512, show_default=True, help="Output tokens.")
@click.option("--concurrency", default=64, show_default=True, help="Requests in flight.")
@click.option("--rate", default=0.0, help="Requests/s at random: adds p50, p95 and p99.")
@click.option("--engine", default="tensorrt-llm", show_default=True, help="Inference engine.")
@json_option
def estimate(
    model: str,
    device: str,
    tp: int,
    pp: int,
    weights: str,
    kv: str,
    isl: int,
    osl: int,
    concurrency: int,
    rate: float,
    engine: str,
    as_json: bool,
) -> None:
    """Say how fast one replica serves MODEL (a name, or the path of a config.json).

    \b
    gpuspec estimate Llama-3.1-70B --gpu H200 --tp 2 --weights fp8 --concurrency 32
    """
    from gpuspec.topics.serving import estimate_table, inference_question

    q = inference_question(
        model,
        device,
        weights,
        kv,
        isl,
        osl,
        concurrency,
        engine_name=engine,
        request_rate=rate,
    )
    for field, value in (("tp", tp), ("pp", pp)):
        if value < 1:
            raise InputError(field, value, "give a whole number of at least 1")
    answer = estimate_table(q, q.replica(q.gpus[0], q.weights[0], tp, pp))
    if not answer["works"]:
        raise InputError("layout", f"{tp * pp} x {q.gpus[0].id}", answer["reason"])
    _tell_estimate(answer, as_json)


def _tell_estimate(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        echo_json(answer)
        return
    rows = []
    for label, name, scale in (
        ("TTFT, ms", "ttft_s", 1e3),
        ("TPOT, ms", "tpot_s", 1e3),
        ("output tokens/s", "output_tokens_s", 1.0),
    ):
        rows.append([label, *(f"{v * scale:,.1f}" for v in answer[name])])
    print_table(["", "Estimate", "low", "high (80 %)"], rows)
    echo(
        f"\nrequests in flight: {answer['load']:,.0f}; "
        f"memory holds {answer['max_concurrency']:,.0f}"
    )
    if "arrivals" in answer:
        _tell_arrivals(answer["arrivals"])
    total = sum(answer["parts"].values())
    shares = sorted(answer["parts"].items(), key=lambda part: -part[1])
    told = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in shares)
    echo(f"a token step is bound by {answer['bound']}: {told}")


def _tell_arrivals(seen: dict[str, float]) -> None:
    if seen["utilisation"] >= 1:
        echo(f"the rate is {seen['utilisation']:.2f} times what the replica can sustain")
        return
    for name in ("ttft", "tpot"):
        times = ", ".join(f"p{p} {seen[f'{name}_p{p}_s'] * 1e3:,.0f}" for p in (50, 95, 99))
        echo(f"{name.upper()} at that rate, ms: {times}")
    echo(f"{seen['in_flight']:,.1f} in flight; {seen['utilisation']:.0%} of what is possible")


@main.command()
@click.argument("model")
@click.option("--gpus", default="A100,H100,H200", show_default=True, help="GPUs to compare.")
@click.option("--steps", default=30, show_default=True, help="Denoising steps.")
@click.option("--size", default=1024, show_default=True, help="Pixels of width and height.")
@click.option("--stack", default="tensorrt", show_default=True, help="Or compiled, eager.")
@json_option
def images(model: str, gpus: str, steps: int, size: int, stack: str, as_json: bool) -> None:
    """Say how fast GPUs generate images with MODEL, such as SDXL or FLUX.1-dev.

    \b
    gpuspec images SDXL --steps 30 --gpus A100,H100
    """
    from gpuspec.topics.serving import images_table

    table = images_table(model, gpus, steps, size, stack)
    if as_json:
        echo_json({"images": table})
        return
    rows = []
    for row in table.to_dict("records"):
        rate = [f"{row[f'images_s{end}']:.2f}" for end in ("", "_low", "_high")]
        rows.append([row["gpu"], f"{row['seconds']:.2f}", *rate])
    print_table(["GPU", "Seconds an image", "Images/s", "low", "high (80 %)"], rows)


@main.command()
@click.argument("model")
@click.option("--gpus", default="A100,H100,H200", show_default=True, help="GPUs to compare.")
@click.option("--counts", default="8,16,32,64,128,256,512,1024", show_default=True, help="Of each.")
@click.option("--tokens", default=1e12, show_default=True, help="Tokens to train on.")
@click.option("--days", default=30.0, show_default=True, help="Deadline.")
@click.option("--seq", default=4096, show_default=True, help="Tokens a sequence.")
@click.option("--batch", default=1024, show_default=True, help="Sequences a step.")
@click.option("--compute", default="bf16", show_default=True, help="Products in bf16 or fp8.")
@click.option("--framework", default="megatron-core", show_default=True, help="Its constants.")
@click.option("--tuning", default="full", show_default=True, help="full, lora or qlora.")
@click.option("--network", default=-1.0, help="GB/s of a node; left out: the reference design.")
@click.option("--network-kind", default="infiniband", show_default=True, help="roce, efa, tcp...")
@json_option
def train(
    model: str,
    gpus: str,
    counts: str,
    tokens: float,
    days: float,
    seq: int,
    batch: int,
    compute: str,
    framework: str,
    tuning: str,
    network: float,
    network_kind: str,
    as_json: bool,
) -> None:
    """Say how long MODEL trains on numbers of GPUs, laid out how, with which error.

    \b
    gpuspec train Llama-3.1-70B --tokens 1e12 --days 30 --gpus H100,H200 --compute fp8
    """
    from gpuspec.topics.training import TrainingQuestion, deadline_table, runs_table
    from gpuspec.topics.training.words import deadline_finding

    asked = TrainingQuestion.ask(
        model=model,
        gpus=gpus,
        counts=counts,
        tokens=tokens,
        deadline_days=days,
        seq_len=seq,
        global_batch=batch,
        precision=compute,
        framework=framework,
        tuning=tuning,
        node_network_gb_s=network,
        network_kind=network_kind,
    )
    runs = runs_table(asked)
    if as_json:
        echo_json({"runs": runs})
        return
    _tell_runs(runs)
    echo("\n" + deadline_finding(asked, deadline_table(asked, runs)))


def _tell_runs(runs: "pd.DataFrame") -> None:
    rows = []
    for r in runs.to_dict("records"):
        split = f"TP {r['tp']} PP {r['pp']} CP {r['cp']} EP {r['ep']} DP {r['dp']}"
        start = [r["gpu"], f"{r['gpus']:,}"]
        if not r["works"]:
            rows.append([*start, "", "", "", "", r["reason"]])
            continue
        span = f"{r['days_low']:,.1f} to {r['days_high']:,.1f}"
        found = [f"{r['days']:,.1f}", span, f"{r['mfu']:.0%}", f"{r['gpu_hours']:,.0f}"]
        rows.append([*start, *found, f"{split}, bound by {r['bound']}"])
    print_table(["GPU", "GPUs", "Days", "80 %", "MFU", "GPU-hours", "Layout, or why not"], rows)


@main.command(name="mig")
@click.argument("tenants", default="example")
@click.option("--gpus", default="A100,H100,H200", show_default=True, help="Kinds to use.")
@click.option("--prices", default="", help="USD for a GPU-hour: A100=1.8,H100=3.85.")
@click.option("--objective", default="cost", show_default=True, help="Least cost or gpus.")
@click.option("--engine", default="vllm", show_default=True, help="Inference engine.")
@click.option("--reserve", default=0.2, show_default=True, help="Load to spare: 0.2 is 20 %.")
@click.option("--seconds", default=5.0, show_default=True, help="Time limit of the solver.")
@json_option
def mig_(
    tenants: str,
    gpus: str,
    prices: str,
    objective: str,
    engine: str,
    reserve: float,
    seconds: float,
    as_json: bool,
) -> None:
    """Pack the tenants of a CSV file (or "example") on the fewest or cheapest GPUs with MIG.

    \b
    gpuspec mig tenants.csv --gpus A100,H100,H200
    Columns: docs/mig.md.
    """
    from gpuspec.topics.mig import MigQuestion, pack, tenant_options
    from gpuspec.topics.mig import answer as tables
    from gpuspec.topics.mig.words import packing_finding

    asked = MigQuestion.ask(
        tenants=tenants,
        gpus=gpus,
        prices=prices,
        objective=objective,
        engine=engine,
        reserve=reserve,
        solver_seconds=seconds,
    )
    options = tenant_options(asked)
    found = pack(asked, options)
    if as_json:
        placed = found.placements.to_dict("records")
        lines = tables.commands(found)
        told = {
            "gpus": found.gpus,
            "usd_per_hour": found.usd_per_hour,
            "gap": found.gap,
            "unplaced": found.unplaced,
            "placements": placed,
            "commands": lines,
        }
        echo_json(told)
        return
    rows = [
        [row["tenant"], f"{row['load']:.0%}", f"{row['usd']:.2f}", row["place"]]
        for row in tables.headroom_table(found, options).to_dict("records")
    ]
    print_table(["Tenant", "Load", "USD/h", "Place"], rows)
    echo("\n" + packing_finding(asked, found))
    for tenant in found.unplaced:
        reasons = options.loc[options["tenant"] == tenant, "reason"]
        echo(f"no place for {tenant}: {reasons.iloc[-1]}")
    echo("\n" + "\n".join(tables.commands(found)))


@main.command()
@click.argument("gpus", default="A100,H100,H200")
@click.option("--use", default=0.65, show_default=True, help="Hours in use over hours owned.")
@click.option("--months", default=60.0, show_default=True, help="How long they are wanted.")
@click.option("--providers", default="", help="hyperscalers, all, or names.")
@click.option("--quotes", default="", help="Your prices: GPU:mode=price,... or a CSV or YAML file.")
@click.option("--drift", default="flat", show_default=True, help="Rents: down, flat, up, -0.1...")
@click.option("--currency", default="USD", show_default=True, help="USD or CNY.")
@click.option("--fx", default=7.1, show_default=True, help="CNY for one USD.")
@click.option("--today", metavar="YYYY-MM-DD", help="Day from which ages count; else today.")
@json_option
def prices(
    gpus: str,
    use: float,
    months: float,
    providers: str,
    quotes: str,
    drift: str,
    currency: str,
    fx: float,
    today: str | None,
    as_json: bool,
) -> None:
    """Say what an hour of GPUS costs in use: rented in each way, and owned.

    \b
    gpuspec prices H100,H200 --use 0.5 --quotes H100:on-demand=2.10
    """
    from datetime import date

    from gpuspec.topics.cost import CostQuestion, ways_table
    from gpuspec.topics.cost.words import age_sentences

    asked = CostQuestion.ask(
        gpus=gpus, used_hours_share=use, horizon_months=months, today=today or date.today().isoformat(), drift=drift, quotes=quotes, regions="", providers=providers,
        currency=currency, cny_per_usd=fx,
    )  # fmt: skip
    table = ways_table(asked)
    if as_json:
        echo_json({"ways": table})
        return
    rows = [
        [r["gpu"], r["way"], *(f"{r[end]:,.2f}" for end in ("low", "central", "high")),
         r["as_of"], r["confidence"], _price_note(r)]
        for r in table.to_dict("records")
    ]  # fmt: skip
    head = ["GPU", "Way", "Low", f"{currency} a used hour", "High", "As of", "Grade", "Note"]
    print_table(head, rows)
    echo("\n" + age_sentences(asked))


def _price_note(row: dict[Any, Any]) -> str:
    return "your quote" if row["quoted"] else "scaled by us" if row["derived"] else ""
