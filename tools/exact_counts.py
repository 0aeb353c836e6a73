"""Count the parameters of networks exactly, and compare them with what gpuspec reads.

    pip install --group exact
    python tools/exact_counts.py CONFIG.json...

Each config.json is handed to transformers, which builds the network on PyTorch's meta device: all
of its tensors, none of its memory. Tied tensors count once. Towers are the parts that read images
or sound, with what connects them. Classes that only a repository's own code defines are left out:
nothing in a file is run. Exit 1 when a count differs.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpuspec.catalog.models import model

TOWERS = ("vision", "visual", "audio", "multi_modal", "embed_vision", "image", "connector")
"""Words that stand in the names of a tower's modules."""
AUTO = ("AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForMaskedLM")


def exact(path: Path) -> tuple[str, int, int]:
    """Return the class that transformers builds, its parameters without towers, and theirs."""
    import torch
    import transformers

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, Path(folder) / "config.json")
        config: Any = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    config.quantization_config = None
    names = json.loads(path.read_text("utf-8")).get("architectures") or []
    kinds = [getattr(transformers, name, None) for name in names]
    kinds += [getattr(transformers, auto)._model_mapping.get(type(config), None) for auto in AUTO]
    kind = next(kind for kind in kinds if kind)
    with torch.device("meta"):
        network = kind._from_config(config)
    network.tie_weights()
    towers = total = 0
    for name, tensor in network.named_parameters():  # tied tensors come once
        total += tensor.numel()
        towers += tensor.numel() * any(word in name for word in TOWERS)
    return kind.__name__, total - towers, towers


def main(paths: list[str]) -> int:
    """Print a line a file; say whether all counts agree."""
    wrong = 0
    for path in map(Path, paths):
        try:
            kind, text, towers = exact(path)
        except Exception as error:  # of many libraries: the others are still counted
            print(f"{path.name}: not counted: {' '.join(str(error).split())[:200]}")
            continue
        try:
            ours = model(path)
        except ValueError as error:
            print(f"{path.name}: {kind} {text:,} + {towers:,}; not read: {error}")
            continue
        off = ours.params / text - 1, ours.tower_params - towers
        wrong += any(off)
        print(f"{path.name}: {kind} {text:,} + {towers:,}; off by {off[0]:+.4%} and {off[1]:+,}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
