"""Cost of the hot parts, in nanoseconds an event; run with `make bench`."""
