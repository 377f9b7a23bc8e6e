"""Every flag of every command, and what `--help` says of them. Imports nothing heavy."""
