"""The Java virtual machine in this process: its start, its end, and our classes in it."""
