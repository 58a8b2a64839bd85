"""How a camera turns light into pixels, and how exposures are made from a frame."""
