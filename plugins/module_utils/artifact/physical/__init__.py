"""Physical backups: all files of a server, and the WAL by which any later moment is reached."""
