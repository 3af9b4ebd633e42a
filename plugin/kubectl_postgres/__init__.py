"""kubectl postgres: see and steer Databases, Backups and Restores."""
