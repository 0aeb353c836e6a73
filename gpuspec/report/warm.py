"""What a kernel, and the process that has a notebook run, load before they are asked for."""

from gpuspec.report.kernel import plain_matplotlib

plain_matplotlib()


import gpuspec.decision.alone  # noqa: E402
import gpuspec.decision.plan.panel  # noqa: E402
import gpuspec.decision.plan.pictures  # noqa: E402
import gpuspec.decision.plan.sensitivity  # noqa: E402
import gpuspec.report  # noqa: E402
import gpuspec.views.display  # noqa: E402, F401
