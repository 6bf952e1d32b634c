"""What `dg` lists: FastLabel in YAML."""
