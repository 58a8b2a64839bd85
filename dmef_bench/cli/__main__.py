"""`python -m dmef_bench.cli`, where the script is not on the path."""

from dmef_bench.cli import main

main()
