"""The Wine guest's own daemon. It is copied into the image and runs there on the system's Python, without rrsim.

So it imports nothing but the standard library and its own modules. What is needed of it can be tried on any computer.
"""
