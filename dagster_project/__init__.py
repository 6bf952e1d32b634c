"""A Dagster code location to start from: one FastLabel project, from labels to a trained model."""
