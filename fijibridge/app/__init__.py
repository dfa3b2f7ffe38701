"""What a person starts: the command line, the demo, the pictures."""
