"""The protocol of `oldphoto evaluate`: every method on the same damaged photos, with intervals, and resumable.

    kinds       one kind of damage at one severity, by either generator
    interface   what a method is
    methods     the list of them: classical_methods, release_methods, trained_methods, prior_method (deep_image_prior)
    parts       faces and words, inside which figures are taken once more
    settings    what is measured on what
    rows        a row a figure set, and the Parquet file that they are kept in
    measuring   one damaged photo, all methods; figures: of one result
    real_cases  real photos that no damage of ours is laid on, and pure inpainting; real_summary: their figures
    running     all photos, in processes; what is in the Parquet already is not computed again
    intervals   bootstrap over photos
    summary     means, intervals, goals
    plots       curves as SVG
"""
