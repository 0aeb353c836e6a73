"""Published measurements, and what the formulas predict for each of them."""

from gpuspec.evidence.measurements.inference import inference_measurements, predicted_inference
from gpuspec.evidence.measurements.memory import memory_measurements, predicted_memory
