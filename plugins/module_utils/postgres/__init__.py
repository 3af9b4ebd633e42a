"""PostgreSQL: connections, client programs, roles, databases and what a server says of itself."""
