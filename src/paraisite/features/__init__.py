"""What models read of a crystal besides its graph: numbers per crystal."""
