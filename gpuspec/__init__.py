"""gpuspec: decide between GPUs with numbers that show their source and their error."""

from gpuspec.base.errors import InputError
from gpuspec.catalog import gpu, gpu_ids, gpus, links, mig_profiles, servers
from gpuspec.catalog.models import Model, model, models
from gpuspec.catalog.precision import precision, training_recipe

__version__ = "0.1.0"
