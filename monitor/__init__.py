"""The only room that wires the others: configuration, pipeline, checkpoints, metrics, commands."""
