"""Run methods on scenes under a protocol, and record what happened."""
