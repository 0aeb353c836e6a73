"""The command ``gpuspec``: reports from notebooks, their parameters, answers and tables.

Modules that take long to import are imported where they are used, so that help stays quick.
"""

from gpuspec.base.damage import whole

with whole():
    from gpuspec.cli import answers, batches, data, decisions, interview, measuring, reports, tables
    from gpuspec.cli.common import main

__all__ = ["main"]
