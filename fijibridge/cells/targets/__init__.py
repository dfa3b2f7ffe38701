"""What a network is to learn, made from cells or from drawn membranes, and how much each pixel weighs."""
