"""Every notebook runs with other parameters, and says clearly when one is wrong."""

import json
import re
from pathlib import Path

import papermill
import pytest
from shell import executed

from gpuspec import report

ROOT = Path(__file__).parents[1]
OTHER = {
    "00_overview": {"gpus": "V100,L40S,H20,B200,MI300X", "roofline_precision": "fp16"},
    "01_memory": {
        "model": "DeepSeek-V3",
        "gpus": "H200,B200",
        "weights": "fp8",
        "kv": "fp8",
        "isl": 30000,
        "osl": 2000,
        "concurrency": 200,
        "gpu_memory_utilization": 0.95,
        "training_gpus": 64,
    },
    "02_training": {
        "model": "Qwen3-30B-A3B",
        "tokens": 5e11,
        "deadline_days": 20.0,
        "gpus": "A100,H200,B200",
        "counts": "16,64",
        "seq_len": 8192,
        "global_batch": 512,
        "precision": "fp8",
        "framework": "fsdp-compiled",
        "node_network_gb_s": 50.0,
        "network_kind": "roce",
    },
    "03_serving": {
        "model": "Mixtral-8x7B",
        "gpus": "A100,L40S,H200",
        "weights": "fp8",
        "kv": "fp8",
        "isl": 16000,
        "tpot_limit_s": 0.02,
        "engine": "vllm",
        "request_rate": 2.0,
        "image_model": "FLUX.1-dev",
        "image_steps": 28,
    },
    "04_hpc": {
        "gpus": "V100,A100 PCIe 40GB,L40S,B200",
        "application": "own",
        "own_flop": 5e14,
        "own_precision": "fp32",
        "own_like": "FFT",
        "cpu_share": 0.25,
        "nodes": "2,64",
        "node_network_gb_s": 25.0,
        "network_kind": "roce",
        "gpus_per_node": 4,
    },
    "05_networks": {
        "gpus": "A100,B200",
        "model": "Llama-3.2-1B",
        "large_model": "Llama-3.1-8B",
        "operation": "all_gather",
        "smallest_message_kib": 1.0,
        "largest_message_gib": 1.0,
        "nodes": "2,8",
        "node_network_gb_s": 100.0,
        "network_kind": "roce",
    },
    "06_mig": {
        "gpus": "A100 40GB,H100 NVL",
        "tenants": "name,model,concurrency,memory_gib,media,copies;chat,Llama-3.2-3B,8,,,3;"
        "large,Llama-3.1-405B,4,,,1;work,,,15,yes,4",
        "prices": "A100 40GB=1.2,H100 NVL=3.4",
        "objective": "gpus",
        "engine": "tensorrt-llm",
        "slice_model": "Qwen2.5-7B",
    },
    "07_cost": {
        "gpus": "A100,B200,h100-pcie-80",
        "used_hours_share": 0.9,
        "horizon_months": 36.0,
        "today": "2027-02-01",
        "drift": "up",
        "quotes": "B200:on-demand=4.50,A100:own-gpu=9000",
        "operating": "electricity_usd_kwh=0.07,pue=1.2",
        "currency": "CNY",
        "cny_per_usd": 7.0,
        "model": "Llama-3.2-1B",
        "concurrency": 256,
        "training_tokens": 1e11,
        "training_gpus": 8,
    },
    "08_decision": {
        "scenario": "a100-owner",
        "model": "Qwen2.5-72B",
        "concurrency": 48,
        "deadline_days": 5.0,
        "capital_usd": 0.0,
        "monthly_usd": 80000.0,
        "owned": "8 x A100, 2 x L40S",
        "objective": "energy",
        "gpus": "A100,H200,B200",
        "quotes": "h200-sxm-141:on-demand=3.10",
        "currency": "CNY",
        "language": "zh",
    },
    "09_upgrade": {
        "scenario": str(ROOT / "tests/fixtures/fleet.yaml"),
        "owned_nodes": 3,
        "quarters": 6,
        "capital_usd": 400000.0,
        "monthly_usd": 40000.0,
        "power_kw": 40.0,
        "drift": "up",
        "effort": 2.0,
        "lead_quarters": 2,
        "order_every": 2,
    },
    "10_claims": {
        "claims": "C01,C02,C03,C12,C17,C18,C20,C22,C25,C28",
        "language": "zh",
        "a100": "A800",
        "h100": "H800",
        "h200": "H20",
        "models": "Llama-3.1-8B,Qwen2.5-14B,Llama-3.1-70B",
        "contexts": "1024,16384",
        "fleets": "2,8",
        "trained": "Llama-3.1-8B,Llama-3.1-70B,Llama-3.1-405B",
        "train_gpus": "8,64,512",
        "sequences": "8192",
        "h100_prices": "1.5,3",
        "h200_prices": "0.8,1",
    },
    "11_validation": {
        "measurements": str(ROOT / "tests/fixtures/training.csv"),
        "kind": "training",
        "worst_cases": 3,
    },
}


def test_every_notebook_is_tried():
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == set(OTHER)


@pytest.mark.parametrize("name", OTHER)
def test_it_runs_with_other_parameters(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = report.find(name)
    values = report.check_parameters(notebook, OTHER[name])
    done = executed(notebook.node, values, panels=True)
    outputs = [out for cell in done["cells"] for out in cell.get("outputs", [])]
    shown = [out["data"]["text/plain"] for out in outputs if "data" in out]
    assert len(shown) > 5
    assert not [text for text in shown if re.search(r"\bnan\b", text)]


def test_papermill_runs_it_and_a_real_config_file_is_read(tmp_path):
    fixture = next((ROOT / "tests/fixtures/configs").glob("llama-3.1-8b*.json"), None)
    path = fixture or next((ROOT / "tests/fixtures/configs").glob("*.json"))
    done = papermill.execute_notebook(
        ROOT / "notebooks/01_memory.ipynb",
        tmp_path / "out.ipynb",
        {"model": str(path), "gpus": "H100"},
        kernel_name="python3",
        progress_bar=False,
    )
    assert "billion parameters" in json.dumps(done)


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_cells_are_short_and_parameters_explained(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    parameters = next(c for c in code if "parameters" in c["metadata"].get("tags", []))
    assert all("#" in line for line in "".join(parameters["source"]).splitlines())
    assert all("".join(c["source"]).count("\n") < 25 for c in code if c is not parameters)


ENCODER = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 30522}
ENCODER |= {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12}
ENCODER |= {"intermediate_size": 1536, "max_position_embeddings": 512, "type_vocab_size": 2}


@pytest.mark.parametrize("name", ["01_memory", "03_serving"])
def test_an_encoder_is_shown_no_cache_and_no_longer_context_than_it_reads(name, tmp_path):
    path = tmp_path / "small-bert.json"
    path.write_text(json.dumps(ENCODER), "utf-8")
    notebook = report.find(name)
    values = report.check_parameters(notebook, {"model": str(path), "isl": 128, "gpus": "H100"})
    outputs = [o for c in executed(notebook.node, values)["cells"] for o in c.get("outputs", [])]
    shown = "\n".join(o["data"]["text/plain"] for o in outputs if "data" in o)
    assert "small-bert is an encoder" in shown
    assert "tokens fits, as many as the model reads" in shown or name != "01_memory"
    assert "Cache in" not in shown
    assert "131,072" not in shown
    assert "262,144" not in shown
