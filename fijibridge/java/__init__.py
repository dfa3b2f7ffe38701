"""Java sources of fijibridge, and the tools that fetch jars and compile the sources. They start no JVM in this process.

``fijibridge/`` contains the classes that both kinds of Fiji load: Fiji in Python's process, and Fiji started without
Python. ``fijibridge/session/`` and ``ij/`` are only for the former, ``fijibridge/foreign/`` only for the latter.
"""
