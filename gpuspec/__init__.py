"""gpuspec: decide between GPUs with numbers that show their source and their error."""

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import (
    gpu,
    gpu_ids,
    gpus,
    link,
    links,
    mig_profile,
    mig_profiles,
    server,
    servers,
)
from gpuspec.catalog.models import Model, model, model_from_config, models
from gpuspec.catalog.precision import precision, training_recipe

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Model",
    "UnknownNameError",
    "gpu",
    "gpu_ids",
    "gpus",
    "link",
    "links",
    "mig_profile",
    "mig_profiles",
    "model",
    "model_from_config",
    "models",
    "precision",
    "server",
    "servers",
    "training_recipe",
]
