"""Photographs as cameras and editors write them: what they state, their pixels, and new ones."""
