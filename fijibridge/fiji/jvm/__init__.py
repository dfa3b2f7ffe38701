"""The Java virtual machine (JVM) of this process: its start, its end, and our classes in it."""

from fijibridge.renames import rename_attributes

rename_attributes(
    __name__,
    {
        "start_embedded": "fiji.jvm.startup:start_embedded",
        "start_pyimagej": "fiji.jvm.startup:start_pyimagej",
        "is_running": "fiji.jvm.startup:is_running",
        "prepare_thread": "fiji.jvm.startup:prepare_thread",
        "has_dynalink": "fiji.jvm.startup:has_dynalink",
        "display_problem": "fiji.jvm.startup:display_problem",
        "initialise_events": "fiji.jvm.startup:initialise_events",
        "EVENTS": "fiji.jvm.startup:EVENTS",
        "java_class": "fiji.jvm.reflection:java_class",
        "EMBEDDED": "java.jars:EMBEDDED",
        "FIJI_COORDINATES": "java.jars:FIJI",
        "is_cached": "java.jars:is_cached",
        "refuse_unreachable": "java.jars:refuse_unreachable",
    },
)
