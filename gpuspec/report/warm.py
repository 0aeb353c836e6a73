"""What the process that has a notebook run, and sets it, has loaded before."""

import papermill  # noqa: F401

import gpuspec.report.render  # noqa: F401
