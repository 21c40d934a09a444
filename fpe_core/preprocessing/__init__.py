"""From a hospital's files to network-ready volumes: one step, one file."""
