"""The Java virtual machine (JVM) of this process: its start, its end, and our classes in it."""
