"""`python -m paraisite`: the command line."""

from __future__ import annotations

from paraisite.cli.main import main

if __name__ == "__main__":
    main()
