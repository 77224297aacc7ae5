"""The networks: detector, two VAEs, the translation with its partial non-local block, and the look at the whole."""
