"""Scenarios: their format, how they are directed, what is recorded, and how the record is judged. Pure throughout."""
