"""Measures speed, and keeps the figures that were published.

`python -m benchmarks NAME`: every module here with a `BENCHMARK` is one that can be run, by the module's name.
"""
