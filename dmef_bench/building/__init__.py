"""From a folder of phone videos to a benchmark data set on disk."""
