"""The receptive field of a network, followed layer by layer and confirmed by its gradient."""
