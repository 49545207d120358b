"""`python -m medbench` is the `medbench` command."""

from medbench.cli import main

main()
