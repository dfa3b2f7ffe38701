"""Run the command line with ``python -m fijibridge``."""

from fijibridge.app.cli import main

if __name__ == "__main__":
    main()
