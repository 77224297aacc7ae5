"""Labels as people's tools write them, decoded to masks: Label Studio, COCO, CVAT, and pictures of masks.

Each reader gives `Drawing`s: who drew what on which file, not yet drawn out. `mask_of` draws one, at the size that the
tool states; `as_seen` turns it the way the photo stands; `merged` makes one mask of several people's.
"""
