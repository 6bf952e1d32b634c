"""The resource-oriented face of the client: one group of methods per kind of thing FastLabel keeps."""
