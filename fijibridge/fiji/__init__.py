"""The Fiji side: Java behind typed Python. Never torch."""
