"""The agent as a Windows program: everything that touches Windows (facts: Microsoft's documentation of each call)."""
