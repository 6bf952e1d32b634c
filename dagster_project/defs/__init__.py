"""What the code location holds: every folder with a ``defs.yaml`` is an instance of a component."""
