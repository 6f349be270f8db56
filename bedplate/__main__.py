"""``python -m bedplate`` is the same as ``bedplate``."""

from bedplate.cli import main

main()
