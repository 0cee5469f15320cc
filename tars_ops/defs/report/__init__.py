"""Assets that people read."""
