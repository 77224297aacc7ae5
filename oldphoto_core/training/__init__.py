"""Training of the networks: look, detector, both VAEs and the translation, by one loop.

data       photos as uint8 tensors on the training device
batches    damaged photos and the crops cut from them, as a pure function of (seed, step)
losses     eqs. 2-6 of the paper and the losses that go with them
loop       the one training loop; schedule, optimisers, checkpoint and curves are its parts
look, detector, vaes, translation    the stages, each a `Stage` for the loop
judging    what chooses the best checkpoint: held-out photos and the second damage generator
export     finished runs back into networks
"""
