"""The tests, laid out like the tree: core, store, orchestration, e2e, benchmarks."""
