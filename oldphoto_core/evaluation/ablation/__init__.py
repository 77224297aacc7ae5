"""The ablations of the paper: the method less one ingredient at a time, and pix2pix, trained alike and compared.

variants    what each leaves out
plan        sizes and budgets: the same crops, the same number of pixels; for the paper's networks about the same time
training    each variant in a folder of its own, resumable
measuring   all of them on the same held-out photos, by the protocol's own measurer
telling     Parquet, Markdown, a plot and a sheet of pictures

    python -m oldphoto_core.evaluation.ablation --photos clean/ --old old/ --textures texture/ --run runs/ablations
"""
