"""Bytes in; one validated, tagged, ordered, columnar batch out. Knows feeds, knows no abuse."""
