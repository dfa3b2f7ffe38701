"""Programs that a person starts: the command line, the demo, the doctor."""
