"""Draw boards and pictures from results."""
