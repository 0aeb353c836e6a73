"""What words and pictures call a class of computations."""

import re

from gpuspec.catalog.workloads import workloads


def short_name(workload: str) -> str:
    """Return the name of a class without what stands behind it.

    >>> short_name("spmv")
    'Sparse matrix-vector product'
    """
    return re.split(r" \(| / | and back| pricing", str(workloads()["name"][workload]))[0]
