"""The Python worker process of a Fiji that was not started by Python. Needs no Java."""
