"""The network: patches, U-Net, training, prediction. Uses torch, never Java."""
