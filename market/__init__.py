"""The labelled market: simulator and scoreboard. Seen by monitor only, never by a detector."""
