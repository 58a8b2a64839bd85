"""Train a network of any method: recipes, crops, one loop, and the record it leaves."""
