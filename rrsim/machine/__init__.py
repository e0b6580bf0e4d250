"""What a scenario may do to any machine, and what can be seen of it from outside."""
