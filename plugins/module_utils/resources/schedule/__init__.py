"""When scheduled backups are due and which of them are kept: pure functions of time."""
