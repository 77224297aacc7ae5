"""Retraining: the flows that train the networks on an archive's own labels, and promote what is better."""
