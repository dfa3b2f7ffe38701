"""The Fiji side: typed Python functions that call Java. Nothing here imports torch."""
