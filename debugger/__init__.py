"""One debugging session engine, and the front ends on top of it."""
