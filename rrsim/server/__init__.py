"""The mock session server: a pure core per session, and the desk in front of it."""
