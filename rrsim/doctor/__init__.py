"""What this computer can do for rrsim: everything is tried, with a deadline; what is missing comes with its cure."""
