"""A crew that does many jobs at once: warm processes that fork, and Dask that spreads the jobs.

A worker of Dask starts one warm process (`zygote`), which has loaded everything and never
computes. Each job runs in a fork of it, where it may fail, hang or take all memory: that ends the
fork and nothing else (`forked`, `hand`). `cluster` spreads jobs over workers, here or elsewhere.
"""
