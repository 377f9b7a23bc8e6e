"""What it looks like when it works: a world of organisations as real servers, one lookup in it, and what it shows."""
