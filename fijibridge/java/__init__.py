"""Java sources of fijibridge, and the tools that fetch jars and compile them. No JVM runs in this room.

``fijibridge/`` holds the classes that both kinds of Fiji load: one in Python's process, and one that was started
without Python. ``fijibridge/session/`` and ``ij/`` are for the first only, ``fijibridge/foreign/`` for the second.
"""
