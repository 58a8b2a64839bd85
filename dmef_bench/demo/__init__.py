"""A whole small run for newcomers: clips of its own making, built, fused and scored."""
