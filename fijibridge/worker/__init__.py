"""Python at work for a Fiji that runs in another process. Needs no Java."""
