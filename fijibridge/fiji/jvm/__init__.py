"""The Java virtual machine in this process: start it, join it, compile for it, end it."""
