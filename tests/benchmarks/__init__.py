"""What is measured rather than asserted; run by `make benchmark`, collected by no test run."""
