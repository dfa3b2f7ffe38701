"""The network: patches, U-Net, training, prediction. torch, never Java."""
