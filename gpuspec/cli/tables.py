"""Commands that print tables: the catalogue's, and predictions beside measurements."""

from typing import TYPE_CHECKING, Any

import click

from gpuspec.cli.asking import asking
from gpuspec.cli.common import cells, echo, echo_json, main, print_table, tell
from gpuspec.cli.names import completed
from gpuspec.cli.options import json_option
from gpuspec.questions import QUESTIONS, record_of
from gpuspec.views.columns import headings
from gpuspec.views.language import say

if TYPE_CHECKING:
    import pandas as pd

    from gpuspec.topics.validation.ask import ValidationQuestion

# Columns that `gpuspec list` prints of each table; the first is the id of what it lists.
COLUMNS = {
    "gpus": "gpu year memory_reported_mib memory_bandwidth_gb_s bf16_dense_tflops "
    "fp8_dense_tflops fp64_tflops nvlink_gb_s tdp_w",
    "models": "model kind params_total layers hidden heads kv_heads experts max_context hf_id "
    "stored",
    "servers": "server gpu_id gpu_count topology nvlink_gb_s_per_gpu node_network_gb_s "
    "max_system_kw",
    "use-cases": "use_case isl isl_cv osl osl_cv ttft_limit_s tpot_limit_s active_share "
    "requests_per_hour peak_factor confidence",
    "scenarios": "scenario name works",
    "workloads": "workload kind name",
    "engines": "engine name released_from released_to aliases",
    "frameworks": "framework name splits zero_stages tunings aliases",
    "precisions": "precision name weight_bits computes aliases",
    "image-models": "model reference_pixels blocks",
    "regions": "region aliases",
    "load-profiles": "profile name confidence day_loads",
    "links": "link kind gb_s_per_gpu latency_us_low latency_us_high name",
}


TOLD = ("name", "kind", "works")
"""Those of them that are words, and not what is typed."""


@main.command(name="list")
@click.argument(
    "what", metavar="|".join(COLUMNS), shell_complete=lambda _, __, text: completed(COLUMNS, text)
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the whole table as CSV.")
@json_option
def list_(what: str, as_csv: bool, as_json: bool) -> None:
    """Print the names that are known of one kind, your own rows included."""
    from gpuspec.base.errors import UnknownNameError
    from gpuspec.catalog import load_table

    if what not in COLUMNS:
        raise UnknownNameError("table", what, COLUMNS)
    frame = _scenarios() if what == "scenarios" else load_table(what)
    if as_json:
        echo_json({what: frame})
        return
    if as_csv:
        echo(frame.to_csv(index=False).rstrip("\n"))
        return
    columns = COLUMNS[what].split()
    shown = frame.rename(columns={"bits": "weight_bits"})[["id", *columns[1:]]]
    told = [place for place, name in enumerate(columns) if name in TOLD]
    kept = [place for place in range(len(columns)) if place not in told]
    print_table(headings(*columns), cells(shown), kept=kept)


def _scenarios() -> "pd.DataFrame":
    """Return the shipped scenarios: what each is called, and its works."""
    import pandas as pd

    from gpuspec.decision.scenario import scenario, scenario_names

    read = {name: scenario(name) for name in scenario_names()}
    rows = [(i, s.name, "|".join(w.name for w in s.workloads)) for i, s in read.items()]
    return pd.DataFrame(rows, columns=["id", "name", "works"])


@asking("validation", first="measurements", needed=True)
@json_option
@click.option("--picture", metavar="FILE", help="Draw predicted against measured (png, pdf, svg).")
def validate(question: "ValidationQuestion", as_json: bool, picture: str | None) -> None:
    """Hold the model against the MEASUREMENTS in a CSV file.

    \b
    gpuspec validate mine.csv --json
    gpuspec validate mine.csv --kind training --picture mine.png

    Columns: docs/validation.md; rows that cannot be used are counted by reason (--json: each row).
    """
    from gpuspec.evidence.validation import validate as compare

    if picture:
        import matplotlib

        from gpuspec.topics.validation.pictures import scatter
        from gpuspec.views.charts import check_picture, save

        check_picture(picture)
        matplotlib.rcdefaults()  # whatever matplotlibrc lies in the current folder
    found = compare(question.measurements or "", question.kind)
    figures = found.figures()
    if picture:
        save(scatter(found, "Predicted against measured"), picture)
    if as_json:
        echo_json(figures)
        return
    _tell_validation(figures)


def _tell_validation(figures: dict[str, Any]) -> None:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}"

    names = ("median_absolute_error", "p90_absolute_error", "interval_coverage")
    rows = [["all", figures["rows"], *(percent(figures[n]) for n in names)]]
    for key, group in figures.items():
        if key.startswith("by_"):
            for name, one in group.items():
                shares = [percent(one[n]) for n in names]
                label = f"{say(key.removeprefix('by_'))} {say(name)}"
                rows.append([label, one["rows"], *shares])
    print_table(["", *headings("rows", *names)], rows)
    if figures.get("ratio_pairs"):
        tell()
    for name, one in figures.get("ratio_by_pair", {}).items():
        error = percent(one["median_absolute_error"])
        tell(
            say(
                "ratio {pair}: {count} pairs, median error {error}",
                pair=name,
                count=one["rows"],
                error=error,
            )
        )
    for one in figures["notes"]:
        tell(say("understood {rows}: {note}", rows=_counted(one), note=one["note"]))
    for one in figures["skipped_by_reason"]:
        tell(say("skipped {rows}: {reason}", rows=_counted(one), reason=one["reason"]))
    if "between" in figures:
        one = figures["between"]
        lines = [row["line"] for row in one["each"][:3]]
        tell(
            say(
                "not said {rows}: recompute decides the memory; between full and none lie "
                "{inside}, below {below}, above {above}",
                rows=_counted(one | {"lines": lines}),
                inside=one["inside"],
                below=one["below"],
                above=one["above"],
            )
        )
    if "memory" in figures:
        tell("\n" + say("Rows of memory"))
        _tell_validation(figures["memory"])


def _counted(group: dict[str, Any]) -> str:
    """Say how many rows a reason has, and the first lines of them."""
    lines = ", ".join(map(str, group["lines"]))
    if group["rows"] == 1:
        return say("line {lines}", lines=lines)
    lines += ", ..." if group["rows"] > len(group["lines"]) else ""
    return say("{count:,} rows (lines {lines})", count=group["rows"], lines=lines)


@main.command()
@click.argument(
    "question",
    required=False,
    shell_complete=lambda _, __, text: completed(QUESTIONS, text),
)
@click.option("--json", is_flag=True, expose_value=False, help="Print JSON, as it always does.")
def schema(question: str | None) -> None:
    """Print the JSON schema of a QUESTION or of a scenario; of all, where none is named."""
    from gpuspec.base.errors import UnknownNameError

    if question is not None and question not in QUESTIONS:
        raise UnknownNameError("question", question, QUESTIONS)
    names = [question] if question else list(QUESTIONS)
    found = {name: record_of(name).model_json_schema() for name in names}
    echo_json(found[question] if question else found)
