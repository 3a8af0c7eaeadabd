"""Compare search methods: hypervolume by evaluations, and what the engine itself costs.

`python -m benchmarks.search --help`, from the repository's root; docs/benchmarks.md says how to read the result.
"""
