"""The command ``gpuspec``: reports from notebooks, their parameters, and the tables.

Modules that take long to import are imported where they are used, so that help stays quick.
"""

import os
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from gpuspec import __version__
from gpuspec.base.errors import InputError, close_matches

if TYPE_CHECKING:
    import pandas as pd

EXIT_CODES = """\b
Exit codes:
  0  done
  1  a notebook or the typesetting failed
  2  an input cannot be used; the message says which and what is valid
"""

# What `gpuspec list` prints: a heading for each column of the table.
COLUMNS = {
    "gpus": {
        "id": "GPU",
        "year": "Year",
        "memory_reported_mib": "Memory MiB",
        "memory_bandwidth_gb_s": "Bandwidth GB/s",
        "bf16_dense_tflops": "BF16 TFLOP/s",
        "fp8_dense_tflops": "FP8 TFLOP/s",
        "fp64_tflops": "FP64 TFLOP/s",
        "nvlink_gb_s": "NVLink GB/s",
        "tdp_w": "Power W",
    },
    "models": {
        "id": "Model",
        "kind": "Kind",
        "params_total": "Parameters",
        "layers": "Layers",
        "hidden": "Width",
        "heads": "Heads",
        "kv_heads": "KV heads",
        "experts": "Experts",
        "max_context": "Context",
    },
    "servers": {
        "id": "Server",
        "gpu_id": "GPU",
        "gpu_count": "GPUs",
        "topology": "Topology",
        "nvlink_gb_s_per_gpu": "NVLink GB/s",
        "node_network_gb_s": "Network GB/s",
        "max_system_kw": "Power kW",
    },
    "links": {
        "id": "Link",
        "kind": "Kind",
        "gb_s_per_gpu": "GB/s per GPU",
        "latency_us_low": "Latency µs, low",
        "latency_us_high": "high",
        "name": "Name",
    },
}


class _Commands(click.Group):
    """A group whose errors are one sentence, and which suggests the command that was meant."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            close = close_matches(args[0], self.commands)
            hint = (
                f"did you mean {', '.join(close)}?" if close else f"try {', '.join(self.commands)}"
            )
            _stop(f"command: {args[0]!r} is unknown; {hint}", 2)
        return super().resolve_command(ctx, args)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command, and end with its exit code."""
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except click.exceptions.Exit as stop:
            code = stop.exit_code
        except click.UsageError as error:
            _stop(error.format_message().rstrip(".") + _usage(error), 2)
        except click.Abort:
            _stop("stopped; nothing was written", 130)
        except BrokenPipeError:
            # The reader of a list, such as `head`, has seen enough; nothing is left to flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 0
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=_Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="gpuspec")
def main() -> None:
    """Decide between NVIDIA A100, H100 and H200 with numbers that show their source and error."""


@main.command(epilog=EXIT_CODES)
@click.argument("name", required=False)
@click.option("-p", "--param", "params", multiple=True, metavar="K=V", help="Set a parameter.")
@click.option("-o", "--output", help="File to write; reports/NAME.pdf unless given.")
@click.option("--format", "kind", metavar="pdf|html|ipynb", help="By the suffix of the output.")
@click.option("--show-code", is_flag=True, help="Print the code cells too.")
@click.option("--lang", default="en", metavar="en|zh", help="Language of the labels.")
@click.option(
    "--date", metavar="YYYY-MM-DD", help="Date to print; else SOURCE_DATE_EPOCH or today."
)
@click.option("--list", "listing", is_flag=True, help="List the notebooks and stop.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def report(
    name: str | None,
    params: tuple[str, ...],
    output: str | None,
    kind: str | None,
    show_code: bool,
    lang: str,
    date: str | None,
    listing: bool,
    quiet: bool,
    debug: bool,
) -> None:
    """Make a report of the notebook NAME: a short name such as memory, or a path to .ipynb.

    \b
    gpuspec report memory -p gpu=H200 -p context=32768 -o memory.pdf
    """
    with _Failures(debug):
        from gpuspec.report import build

        if listing:
            _list_notebooks()
            return
        if name is None:
            raise click.UsageError("name a notebook; `gpuspec reports` lists them")
        path = build(
            name,
            _pairs(params),
            output,
            format=kind,
            show_code=show_code,
            language=lang,
            date=datetime.fromisoformat(_checked_date(date)).date() if date else None,
            progress=None if quiet else _progress(),
        )
        if not quiet:
            click.echo(path)


@main.command(epilog=EXIT_CODES)
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Write the reports of all notebooks.")
@click.option("-o", "--output", default="reports", show_default=True, help="Folder to write to.")
@click.option("--format", "kind", default="pdf", show_default=True, metavar="pdf|html|ipynb")
@click.option("-j", "--jobs", default=0, help="Reports at a time; one a core unless given.")
@click.option("--lang", default="en", metavar="en|zh", help="Language of the labels.")
def reports(
    names: tuple[str, ...], every: bool, output: str, kind: str, jobs: int, lang: str
) -> None:
    """List the notebooks that a report can be made of, or write the reports of many at once.

    \b
    gpuspec reports
    gpuspec reports --all -o reports
    gpuspec reports memory training
    """
    with _Failures():
        if not names and not every:
            _list_notebooks()
            return
        _build_many(names, output, kind, jobs, lang)


def _build_many(names: tuple[str, ...], output: str, kind: str, jobs: int, lang: str) -> None:
    """Write many reports with a line for each, and name the failed ones at the end."""
    import time

    from gpuspec.report import Outcome, build_all

    def tell(outcome: Outcome, done: int, total: int) -> None:
        said = "failed" if outcome.error else f"{outcome.seconds:.1f} s"
        click.echo(f"[{done}/{total}] {outcome.path}: {said}", err=True)

    start = time.perf_counter()
    found = build_all(names, output, kind, jobs, lang, tell)
    failed = [o for o in found if o.error]
    good = len(found) - len(failed)
    click.echo(f"{good} of {len(found)} reports in {time.perf_counter() - start:.1f} s")
    for outcome in failed:
        click.echo(f"gpuspec: {outcome.name}: {outcome.error}", err=True)
    if failed:
        sys.exit(1)


@main.command()
@click.argument("name")
def params(name: str) -> None:
    """List the parameters of the notebook NAME with default and meaning."""
    with _Failures():
        from gpuspec.report import inspect

        rows = [[p.name, p.kind, p.default, p.meaning] for p in inspect(name)]
        _print(["Parameter", "Type", "Default", "Meaning"], rows)


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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
    with _Failures():
        from gpuspec.topics.serving import estimate_table, ServingQuestion

        q = ServingQuestion.ask(
            model=model,
            gpus=device,
            weights=weights,
            kv=kv,
            isl=isl,
            osl=osl,
            concurrency=concurrency,
            engine=engine,
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
    import json

    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    rows = []
    for label, name, scale in (
        ("TTFT, ms", "ttft_s", 1e3),
        ("TPOT, ms", "tpot_s", 1e3),
        ("output tokens/s", "output_tokens_s", 1.0),
    ):
        rows.append([label, *(f"{v * scale:,.1f}" for v in answer[name])])
    _print(["", "Estimate", "low", "high (80 %)"], rows)
    click.echo(
        f"\nrequests in flight: {answer['load']:,.0f}; "
        f"memory holds {answer['max_concurrency']:,.0f}"
    )
    if "arrivals" in answer:
        _tell_arrivals(answer["arrivals"])
    total = sum(answer["parts"].values())
    shares = sorted(answer["parts"].items(), key=lambda part: -part[1])
    told = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in shares)
    click.echo(f"a token step is bound by {answer['bound']}: {told}")


def _tell_arrivals(seen: dict[str, float]) -> None:
    if seen["utilisation"] >= 1:
        click.echo(f"the rate is {seen['utilisation']:.2f} times what the replica can sustain")
        return
    for name in ("ttft", "tpot"):
        times = ", ".join(f"p{p} {seen[f'{name}_p{p}_s'] * 1e3:,.0f}" for p in (50, 95, 99))
        click.echo(f"{name.upper()} at that rate, ms: {times}")
    click.echo(f"{seen['in_flight']:,.1f} in flight; {seen['utilisation']:.0%} of what is possible")


@main.command()
@click.argument("model")
@click.option("--gpus", default="A100,H100,H200", show_default=True, help="GPUs to compare.")
@click.option("--steps", default=30, show_default=True, help="Denoising steps.")
@click.option("--size", default=1024, show_default=True, help="Pixels of width and height.")
@click.option("--stack", default="tensorrt", show_default=True, help="Or compiled, eager.")
def images(model: str, gpus: str, steps: int, size: int, stack: str) -> None:
    """Say how fast GPUs generate images with MODEL, such as SDXL or FLUX.1-dev.

    \b
    gpuspec images SDXL --steps 30 --gpus A100,H100
    """
    with _Failures():
        from gpuspec.topics.serving import images_table

        rows = []
        for row in images_table(model, gpus, steps, size, stack).to_dict("records"):
            rate = [f"{row[f'images_s{end}']:.2f}" for end in ("", "_low", "_high")]
            rows.append([row["gpu"], f"{row['seconds']:.2f}", *rate])
        _print(["GPU", "Seconds an image", "Images/s", "low", "high (80 %)"], rows)


@main.command(epilog=EXIT_CODES)
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
    with _Failures():
        import json

        from gpuspec.topics.training import deadline_table, runs_table, training_question
        from gpuspec.topics.training.words import deadline_finding

        asked = training_question(
            model,
            gpus,
            counts,
            tokens,
            days,
            seq,
            batch,
            compute,
            framework,
            tuning,
            node_network_gb_s=network,
            network_kind=network_kind,
        )
        runs = runs_table(asked)
        if as_json:
            click.echo(json.dumps(json.loads(runs.to_json(orient="records")), indent=2))
            return
        _tell_runs(runs)
        click.echo("\n" + deadline_finding(asked, deadline_table(asked, runs)))


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
    _print(["GPU", "GPUs", "Days", "80 %", "MFU", "GPU-hours", "Layout, or why not"], rows)


@main.command(name="mig", epilog=EXIT_CODES)
@click.argument("tenants", default="example")
@click.option("--gpus", default="A100,H100,H200", show_default=True, help="Kinds to use.")
@click.option("--prices", default="", help="USD for a GPU-hour: A100=1.8,H100=3.85.")
@click.option("--objective", default="cost", show_default=True, help="Least cost or gpus.")
@click.option("--engine", default="vllm", show_default=True, help="Inference engine.")
@click.option("--reserve", default=0.2, show_default=True, help="Load to spare: 0.2 is 20 %.")
@click.option("--seconds", default=5.0, show_default=True, help="Time limit of the solver.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
    with _Failures():
        import json

        from gpuspec.topics.mig import answer as tables
        from gpuspec.topics.mig import pack, tenant_options, tenants_question
        from gpuspec.topics.mig.words import packing_finding

        asked = tenants_question(
            tenants,
            gpus,
            prices,
            objective,
            engine_name=engine,
            reserve=reserve,
            seconds=seconds,
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
            click.echo(json.dumps(told, indent=2))
            return
        rows = [
            [row["tenant"], f"{row['load']:.0%}", f"{row['usd']:.2f}", row["place"]]
            for row in tables.headroom_table(found, options).to_dict("records")
        ]
        _print(["Tenant", "Load", "USD/h", "Place"], rows)
        click.echo("\n" + packing_finding(asked, found))
        for tenant in found.unplaced:
            reasons = options.loc[options["tenant"] == tenant, "reason"]
            click.echo(f"no place for {tenant}: {reasons.iloc[-1]}")
        click.echo("\n" + "\n".join(tables.commands(found)))


@main.command(epilog=EXIT_CODES)
@click.argument("gpus", default="A100,H100,H200")
@click.option("--use", default=0.65, show_default=True, help="Hours in use over hours owned.")
@click.option("--months", default=60.0, show_default=True, help="How long they are wanted.")
@click.option("--providers", default="", help="hyperscalers, all, or names.")
@click.option("--quotes", default="", help="Your prices: GPU:mode=price,... or a CSV or YAML file.")
@click.option("--drift", default="flat", show_default=True, help="Rents: down, flat, up, -0.1...")
@click.option("--currency", default="USD", show_default=True, help="USD or CNY.")
@click.option("--fx", default=7.1, show_default=True, help="CNY for one USD.")
@click.option("--today", metavar="YYYY-MM-DD", help="Day from which ages count; else today.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
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
    with _Failures():
        from datetime import date

        from gpuspec.topics.cost import cost_question, ways_table
        from gpuspec.topics.cost.words import age_sentences

        asked = cost_question(
            gpus, use, months, today or date.today().isoformat(), drift, quotes, "", providers,
            currency, fx,
        )  # fmt: skip
        table = ways_table(asked)
        if as_json:
            click.echo(table.to_json(orient="records", indent=2))
            return
        rows = [
            [r["gpu"], r["way"], *(f"{r[end]:,.2f}" for end in ("low", "central", "high")),
             r["as_of"], r["confidence"], _price_note(r)]
            for r in table.to_dict("records")
        ]  # fmt: skip
        head = ["GPU", "Way", "Low", f"{currency} a used hour", "High", "As of", "Grade", "Note"]
        _print(head, rows)
        click.echo("\n" + age_sentences(asked))


def _price_note(row: dict[Any, Any]) -> str:
    return "your quote" if row["quoted"] else "scaled by us" if row["derived"] else ""


@main.command(epilog=EXIT_CODES)
@click.argument("file")
@click.option(
    "--kind", default="inference", show_default=True, help="inference, training, collectives, hpc."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--picture", metavar="FILE", help="Draw predicted against measured (png, pdf, svg).")
def validate(file: str, kind: str, as_json: bool, picture: str | None) -> None:
    """Hold the model against the measurements in the CSV FILE.

    \b
    gpuspec validate mine.csv --json
    gpuspec validate mine.csv --kind training --picture mine.png
    Columns: docs/validation.md; rows that cannot be used are listed with their reason.
    """
    with _Failures():
        import json

        from gpuspec.evidence.validation import validate as compare

        found = compare(file, kind)
        figures = found.figures()
        if picture:
            from gpuspec.topics.validation.pictures import scatter
            from gpuspec.views.charts import save

            save(scatter(found, "Predicted against measured"), picture)
        if as_json:
            click.echo(json.dumps(figures, indent=2))
            return
        _tell_validation(figures)


def _tell_validation(figures: dict[str, Any]) -> None:
    def percent(value: Any) -> str:
        return "" if value is None else f"{value:.1%}"

    names = ("median_absolute_error", "p90_absolute_error", "interval_coverage")
    rows = [["all", figures["rows"], *(percent(figures[n]) for n in names)]]
    groups = [key.removeprefix("by_") for key in figures if key.startswith("by_")]
    for group in groups:
        for name, one in figures[f"by_{group}"].items():
            rows.append([f"{group} {name}", one["rows"], *(percent(one[n]) for n in names)])
    _print(["", "Rows", "Median error", "90 % below", "Inside interval"], rows)
    if figures.get("ratio_pairs"):
        click.echo()
    for name, one in figures.get("ratio_by_pair", {}).items():
        error = percent(one["median_absolute_error"])
        click.echo(f"ratio {name}: {one['rows']} pairs, median error {error}")
    for row in figures["skipped"]:
        click.echo(f"skipped line {row['line']} ({row['case_id']}): {row['reason']}")


@main.command(epilog=EXIT_CODES)
@click.argument("scenario")
@click.option("-p", "--param", "params", multiple=True, metavar="K=V", help="Set a value by path.")
@click.option("--lang", default="en", metavar="en|zh", help="Language of the answer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(scenario: str, params: tuple[str, ...], lang: str, as_json: bool) -> None:
    """Say what to buy or rent for SCENARIO: a YAML or JSON file, or a shipped name.

    \b
    gpuspec plan article-b
    gpuspec plan mine.yaml -p workloads[0].concurrency=256 -p budget.monthly_usd=40000
    """
    with _Failures():
        import json

        from gpuspec.decision.plan import break_evens, decide, tornado
        from gpuspec.decision.plan.words_page import answer_page, answer_record
        from gpuspec.decision.scenario import parsed
        from gpuspec.decision.scenario import scenario as read

        asked = read(scenario, {k: parsed(v) for k, v in _pairs(params).items()})
        decision = decide(asked)
        evens = break_evens(decision, tornado(decision)) if decision.feasible else None
        if as_json:
            click.echo(json.dumps(answer_record(decision, evens), indent=2, ensure_ascii=False))
            return
        click.echo(answer_page(decision, evens, lang).replace("**", ""))
        if decision.feasible:
            click.echo()
            _tell_works(decision, lang)


def _tell_works(decision: Any, lang: str) -> None:
    from gpuspec.decision.plan.words_page import members_table

    rows = members_table(decision, lang).reset_index()
    _print([str(c) for c in rows.columns], [[str(v) for v in r] for r in rows.to_numpy()])


@main.command(epilog=EXIT_CODES)
@click.argument("scenario", default="a100-owner")
@click.option("--quarters", default=0, help="Horizon; 0: the scenario's.")
@click.option("--drift", default="", help="Prices down, flat, up, or a change a year.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def upgrade(scenario: str, quarters: int, drift: str, as_json: bool) -> None:
    """Say what to add to the fleet of a SCENARIO (a name or a YAML file), and when.

    \b
    gpuspec upgrade mine.yaml --drift up
    Fields of the file: docs/upgrade.md.
    """
    with _Failures():
        import json

        from gpuspec.decision import upgrade as fleet
        from gpuspec.decision.upgrade import words

        question = fleet.upgrade_question(scenario, quarters=quarters, drift=drift)
        plans = fleet.compare(question)
        spans, sure = fleet.sureness(question, plans)
        table = fleet.strategy_table(question, plans).merge(spans, on="strategy")
        if as_json:
            orders = fleet.orders_table(question.problem, plans["optimum"])
            runs = fleet.runs_table(question, plans["optimum"])
            told = {"sure": sure, "left_out": question.left_out}
            for name, frame in (("orders", orders), ("runs", runs), ("strategies", table)):
                told[name] = json.loads(frame.to_json(orient="records"))
            click.echo(json.dumps(told, indent=2))
            return
        money = ("cost_usd", "capital_usd")
        rows = [
            [r["strategy"], *(f"{r[c]:,.0f}" for c in money), f"{r['unmet']:.0%}", r["meaning"]]
            for r in table.to_dict("records")
        ]
        _print(["Strategy", "Cost, USD", "Capital, USD", "Undone", "Meaning"], rows)
        best = plans["optimum"]
        others = {n: p for n, p in plans.items() if p is not best}
        said = [words.upgrade_finding(question, plans) + "."]
        said += [words.hourly_sentence(question, plans)]
        said += [words.plan_sentence(question, plans, spans, sure)]
        said += [words.effort_finding(plans) + "."] if best.complete else []
        said += [words.unmet_sentence(question, others), words.unplanned_sentence(question)]
        if not best.complete:
            gives = words.gives_sentence(fleet.what_gives(question.problem))
            said += [f"What must give: {gives}."]
        click.echo("\n" + "\n".join(line for line in said if line))


@main.command(name="list")
@click.argument("what", metavar="|".join(COLUMNS))
@click.option("--csv", "as_csv", is_flag=True, help="Print the whole table as CSV.")
def list_(what: str, as_csv: bool) -> None:
    """Print one of the tables of the catalogue, your own rows included."""
    with _Failures():
        from gpuspec.base.errors import UnknownNameError
        from gpuspec.catalog import load_table

        if what not in COLUMNS:
            raise UnknownNameError("table", what, COLUMNS)
        frame = load_table(what)
        if as_csv:
            click.echo(frame.to_csv(index=False), nl=False)
            return
        columns = COLUMNS[what]
        _print(list(columns.values()), _cells(frame[list(columns)]))


class _Failures:
    """Turn what goes wrong inside into one sentence and an exit code."""

    def __init__(self, debug: bool = False) -> None:
        self.debug = debug

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(
            error, (click.ClickException, click.Abort, click.exceptions.Exit)
        ):
            return
        if not isinstance(error, Exception) or isinstance(error, BrokenPipeError):
            return
        if self.debug:
            inside = getattr(error, "trace", "")
            click.echo(inside or "".join(traceback.format_exception(error)), err=True)
        if isinstance(error, InputError) or getattr(error, "bad_input", False):
            _stop(str(error), 2)
        hint = "" if self.debug else " (--debug shows the traceback)"
        _stop((" ".join(str(error).split()) or type(error).__name__) + hint, 1)


def _stop(message: str, code: int) -> None:
    click.echo(f"gpuspec: {message}", err=True)
    sys.exit(code)


def _usage(error: click.UsageError) -> str:
    return f"; see {error.ctx.command_path} --help" if error.ctx else ""


def _pairs(params: tuple[str, ...]) -> dict[str, str]:
    """Split ``name=value`` texts; a name may come once."""
    pairs: dict[str, str] = {}
    for text in params:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError("--param", text, "write it as name=value")
        if name in pairs:
            raise InputError("--param", text, f"{name} was given before; give it once")
        pairs[name] = value
    return pairs


def _checked_date(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()
    except ValueError as error:
        raise InputError("--date", text, "write it as 2026-11-24") from error


def _progress() -> Callable[[str, int, int], None]:
    """Say on stderr how far the work is: a line that rewrites itself, or one line a stage."""
    live = sys.stderr.isatty()

    def tell(stage: str, done: int, total: int) -> None:
        ended = done == total
        if live and stage == "executing":
            click.echo(f"\r\x1b[K{stage}: cell {done} of {total}", nl=ended, err=True)
        elif stage == "executing" and done == 0:
            click.echo(f"executing {total} cells", err=True)
        elif stage != "executing" and done == 0:
            click.echo(stage, err=True)

    return tell


def _list_notebooks() -> None:
    from gpuspec.report import notebooks
    from gpuspec.report.text import plain

    rows = [[n.name, plain(n.title), plain(n.question.split("\n\n")[0])] for n in notebooks()]
    _print(["Name", "Title", "Question"], rows)


def _print(headers: list[str], rows: list[list[Any]]) -> None:
    """Print aligned columns; the last wraps at the width of a terminal, and runs on in a pipe."""
    from tabulate import tabulate

    widths: list[int | None] = [None] * len(headers)
    if sys.stdout.isatty() and rows:
        import shutil

        taken = sum(max(len(str(row[i])) for row in rows) + 2 for i in range(len(headers) - 1))
        widths[-1] = max(shutil.get_terminal_size().columns - taken, 24)
    click.echo(tabulate(rows, headers=headers, tablefmt="simple", maxcolwidths=widths))


def _cells(frame: "pd.DataFrame") -> list[list[Any]]:
    """Write whole numbers without ".0", and nothing where nothing is known."""
    import pandas as pd

    def written(value: Any) -> Any:
        if pd.isna(value):
            return ""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return [[written(value) for value in row] for row in frame.itertuples(index=False)]
