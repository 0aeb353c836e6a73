"""Put the tables of held-out errors, as stored, into README.md and docs/.

python tools/write_errors.py [--check]
"""

import re
import sys
from pathlib import Path

from tabulate import tabulate

from gpuspec.constants.collectives import collective_errors
from gpuspec.constants.disaggregated import separate_errors
from gpuspec.constants.hpc import hpc_errors, hpc_order
from gpuspec.constants.images import image_errors
from gpuspec.constants.inference import inference_errors
from gpuspec.constants.memory import KINDS, memory_errors
from gpuspec.constants.mig import slice_errors
from gpuspec.constants.posttraining import posttraining_errors
from gpuspec.constants.stored import stored, stored_errors
from gpuspec.constants.training import training_errors
from gpuspec.evidence.measurements.repeats import repeats_table
from gpuspec.topics.hpc.published import scaling_errors
from gpuspec.views.language import translator

ROOT = Path(__file__).resolve().parents[1]


HEADS = ["Figure", "Rows", "Publishers", "Median error", "90th percentile", "Low", "High", "Inside"]


def memory_table():
    return _table(memory_errors().rename(index=KINDS))


def inference_table():
    return _table(inference_errors())


def training_table():
    return _table(training_errors())


def posttraining_table():
    rows = [[kind, *_cells(e)] for kind, e in posttraining_errors().iterrows()]
    return tabulate(rows, HEADS[:-1], tablefmt="github", disable_numparse=True)


def collective_table():
    return _table(collective_errors())


def floor_table():
    """How far publishers of the same setting are from each other, beside the model's errors."""
    rows = [
        [
            *(where, f"{e['rows']}", f"{e['publishers']}"),
            *(f"{e[f'{of}_{n}']:.1%}" for of in ("others", "model") for n in ("median", "p90")),
        ]
        for where, e in stored("collectives")["floor"].items()
    ]
    others = ["Others: median", "90th percentile"]
    heads = ["Where", *HEADS[1:3], *others, "Model: median", "90th percentile"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def hpc_table():
    return _table(hpc_errors())


def hpc_order_table():
    rows = [
        [kind, f"{e.rows:.0f}", f"{e.publishers:.0f}", f"{e.right:.0%}"]
        for kind, e in hpc_order().iterrows()
    ]
    heads = ["A100, H100, L40S", "Pairs", HEADS[2], "In the right order"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def hpc_scaling_table():
    rows = [
        [
            e.program,
            e.case,
            e.gpu,
            e.scaling,
            f"{e.first_gpus} to {e.last_gpus}",
            f"{e.efficiency:.0%}",
            f"{e.efficiency_model:.0%}",
            f"{e.median_error:.1%}",
        ]
        for e in scaling_errors().itertuples()
    ]
    heads = ["Program", "Case", "GPU", "Scaling", "GPUs", "Efficiency", "Model", HEADS[3]]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def collective_publishers():
    """Share inside of each place, every publisher counting once."""
    each = stored("collectives")["each_publisher"]
    return tabulate(
        [[place, f"{share:.0%}"] for place, share in each.items()],
        ["Where", "Inside, each publisher once"],
        tablefmt="github",
        disable_numparse=True,
    )


def image_publishers():
    each = stored("images")["each_publisher"]
    return f"Each publisher counting once, {each:.0%} of what a publisher measured lie inside."


def slice_table():
    return _table(slice_errors())


def image_table():
    return _table(image_errors())


OVERVIEW = [  # topic, figure as a reader would say it, where its error is, row
    ("Memory", "weights of a serving engine", memory_errors, "serving weights"),
    ("Memory", "peak of training all weights", memory_errors, "full"),
    ("Inference", "throughput", inference_errors, "throughput"),
    ("Inference", "time per output token", inference_errors, "tpot"),
    ("Inference", "time to first token", inference_errors, "ttft"),
    ("Inference", "H100 over A100", inference_errors, "ratio h100-sxm-80 / a100-sxm-80"),
    ("Inference", "H200 over H100", inference_errors, "ratio h200-sxm-141 / h100-sxm-80"),
    ("Inference", "seconds of an image", image_errors, "images"),
    ("Training", "step of any run", training_errors, "step time"),
    ("Training", "step, framework known", training_errors, "step time, framework known"),
    ("Training", "step, framework never seen", training_errors, "step time, framework never seen"),
    ("Training", "H100 over A100", training_errors, "ratio h100-sxm-80 / a100-sxm-80"),
    ("Reinforcement learning", "step of GRPO", posttraining_errors, "step"),
    *(
        ("Collectives", f"{place}{far}", collective_errors, f"{place}{far}")
        for place in (
            "in a node, from 1 MiB",
            "in a node, below 1 MiB",
            "between nodes, from 1 MiB",
            "between nodes, below 1 MiB",
        )
        for far in ("", ", far ground")
    ),
    ("HPC", "one GPU over another, kernels", hpc_errors, "ratio, kernels"),
    ("HPC", "one GPU over another, programs", hpc_errors, "ratio, applications"),
    ("MIG", "slice over whole GPU", slice_errors, "all"),
]


def overview_table():
    rows = []
    for topic, figure, errors, row in OVERVIEW:
        e = errors().loc[row]
        rows.append([topic, figure, *_cells(e)[:4], f"{e.low:.2f} to {e.high:.2f}", _inside(e)])
    heads = ["Topic", *HEADS[:5], "80 % interval", HEADS[-1]]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


GROUPS = [  # kind, label of its lines, what they are
    ("inference", "engine family", ("vllm", "sglang", "tensorrt-llm", "other")),
    ("inference", "GPU generation", ("Ampere", "Ada", "Hopper", "Blackwell", "Blackwell Ultra")),
    ("inference", "model", ("dense models", "mixtures of experts")),
    ("inference", "figure", ("throughput", "tpot", "ttft", "latency")),
    ("inference", "all", ("all figures",)),
    ("training", "GPU generation", ("Ampere", "Hopper", "Blackwell")),
    ("training", "reach", ("in a node", "between nodes")),
    ("collectives", "reach", ("in a node, from 1 MiB", "between nodes, from 1 MiB")),
    ("collectives", "nodes", ("in a node", "2 nodes", "3 to 16 nodes", "more nodes")),
    ("collectives", "link", ("nvlink-3", "nvlink-4", "nvlink-5", "pcie-4", "pcie-4-peer")),
]


def group_table():
    """Errors and coverage by what decides them, and by ground, of every kind."""
    rows = []
    for topic, group, names in GROUPS:
        table = stored_errors(topic)
        prefix = "step time, " if topic == "training" else ""
        rows += [
            [
                topic,
                group,
                name,
                *_cells(table.loc[prefix + name])[:4],
                _inside(table.loc[prefix + name]),
            ]
            for name in names
            if prefix + name in table.index
        ]
    for topic in ("inference", "training", "collectives", "hpc", "mig"):
        table = stored_errors(topic)
        known = table[table.index.str.contains("ground ")]
        rows += [
            [topic, "ground", name.rsplit(" ", 1)[1], *_cells(e)[:4], _inside(e)]
            for name, e in known.iterrows()
        ]
    heads = ["Kind", "By", "Group", *HEADS[1:5], HEADS[-1]]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def _cells(e):
    counts = [f"{e.rows:.0f}", f"{e.publishers:.0f}", f"{e.median_error:.1%}", f"{e.p90_error:.1%}"]
    return [*counts, f"{e.low:.2f}", f"{e.high:.2f}"]


def _inside(e):
    """Share of the rows inside the interval that the other publishers gave."""
    known = e.get("coverage", float("nan"))
    alone = "one publisher" if e["publishers"] < 2 else "two publishers"
    return f"{known:.0%}" if known == known else alone


def _table(errors):
    rows = [[kind, *_cells(e), _inside(e)] for kind, e in errors.iterrows()]
    return tabulate(rows, HEADS, tablefmt="github", disable_numparse=True)


def operator_table():
    rows = []
    for gpu in ("a100-sxm-80", "h100-sxm-80", "h200-sxm-141"):
        for library, found in stored("inference")["operators"][gpu].items():
            for operation, keys in found.items():
                cells = [f"{key} {one['median_error']:.1%}" for key, one in keys.items()]
                rows.append([gpu, library, operation, ", ".join(cells)])
    heads = ["GPU", "Kernel library", "Operation", "Median error by precision"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def separate_table():
    rows = [
        [kind, f"{e['rows']:.0f}", f"{e['median']:.1%}", f"{e['p90']:.1%}", f"{e['low']:.2f}",
         f"{e['high']:.2f}"]
        for kind, e in separate_errors().items()
    ]  # fmt: skip
    heads = ["Figure", "Rows", *HEADS[3:]]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def repeated_table():
    rows = [
        [kind, f"{e.pairs:.0f}", f"{e['median']:.1%}", f"{e.p90:.1%}"]
        for kind, e in repeats_table().iterrows()
    ]
    heads = ["The faster over the slower of two", "Pairs", "Median", HEADS[4]]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True)


def in_chinese(table):
    """Return a Markdown table with its words in Chinese, its figures as they are."""
    put = translator("zh")
    table = table.replace("Figure", "Quantity", 1)  # what is measured, no picture
    return re.sub(r"(?<=\| )[^|-][^|]*?(?= *\|)", lambda cell: put(cell[0]), table)


PLACES = [
    ("README.md", "errors", overview_table),
    ("README.zh.md", "errors", lambda: in_chinese(overview_table())),
    ("docs/memory.md", "errors", memory_table),
    ("docs/serving.md", "inference errors", inference_table),
    ("docs/serving.md", "separate errors", separate_table),
    ("docs/serving.md", "image errors", image_table),
    ("docs/serving.md", "image publishers", image_publishers),
    ("docs/serving.md", "operator errors", operator_table),
    ("docs/networks.md", "collective errors", collective_table),
    ("docs/networks.md", "collective publishers", collective_publishers),
    ("docs/networks.md", "collective floor", floor_table),
    ("docs/training.md", "training errors", training_table),
    ("docs/posttraining.md", "posttraining errors", posttraining_table),
    ("docs/training.md", "repeats", repeated_table),
    ("docs/hpc.md", "hpc errors", hpc_table),
    ("docs/hpc.md", "hpc order", hpc_order_table),
    ("docs/hpc.md", "hpc scaling", hpc_scaling_table),
    ("docs/mig.md", "slice errors", slice_table),
    ("docs/validation.md", "errors by group", group_table),
]


def main():
    for name, mark, make in PLACES:
        path = ROOT / name
        text = path.read_text("utf-8")
        start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
        before, rest = text.split(start)
        written = f"{before}{start}\n{make()}\n{end}{rest.split(end)[1]}"
        if "--check" in sys.argv and written != text:
            sys.exit(f"{name} does not show the stored errors: run tools/write_errors.py")
        path.write_text(written, "utf-8")


if __name__ == "__main__":
    main()
