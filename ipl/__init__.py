"""Infinite Pixel Learning: the network this project is named after lives here once it is built."""
