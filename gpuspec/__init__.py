"""gpuspec: decide between GPUs with numbers that show their source and their error."""

import gc
import os
import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:  # python -m gpuspec
    _here = sys.path.pop(0)  # the current folder, whose files are not to run
    if __file__.startswith(_here):
        sys.path.append(_here)  # a checkout that is not installed is found last

from gpuspec.base.damage import commanded, whole

if commanded():  # starts in less time: no plug-ins, no idle threads, little looked for to free
    gc.set_threshold(100_000, 50, 100)
    for _name in ("PYDANTIC_DISABLE_PLUGINS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(_name, "1")
    if sys.argv[1:2] == ["report"] and sys.argv[2:] and not sys.argv[2].startswith("-"):
        from gpuspec.crew.forked import begin

        begin(f"gpuspec.crew.kernel:load {sys.argv[2]}")  # its kernel loads beside it

with whole():
    from gpuspec.base.errors import InputError
    from gpuspec.catalog import gpu, gpu_ids, gpus, links, mig_profiles, servers
    from gpuspec.catalog.models import Model, model, models
    from gpuspec.catalog.precision import precision, training_recipe

__version__ = "0.1.0"
