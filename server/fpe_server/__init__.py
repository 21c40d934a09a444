"""The coordinating centre's side."""
