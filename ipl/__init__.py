"""Infinite Pixel Learning: the network this project is named after (arXiv 2412.11685)."""
