"""Errors that Ringfence raises on purpose; each message says expected, found and where."""


class RingfenceError(Exception):
    """Something failed that a person can act on; the command line shows its one line, exit 1."""


class UsageError(RingfenceError):
    """Wrong arguments, configuration or input files; one line, exit 2."""


class ConfigurationError(UsageError):
    """A setting that is unknown, missing or out of range."""


class RegistryError(UsageError):
    """A registry file that cannot be used: both offending rows are named."""


class TapeError(UsageError):
    """A tape folder that cannot be read: the missing or unreadable file is named."""


class SourceError(RingfenceError):
    """A feed that cannot be reached or read."""


class SnapshotError(RingfenceError):
    """A snapshot that is damaged or was written by an incompatible version."""
