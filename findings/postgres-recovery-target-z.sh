#!/usr/bin/env bash
# PostgreSQL 18.6, recovery_target_time. Expected of a time that ALTER SYSTEM has accepted: the server starts with it.
# Seen: a time with Z for UTC, as RFC 3339 and Kubernetes write it, is accepted by a running server, and the server that
# reads it at its start refuses its configuration and ends. Z counts as an abbreviation of a time zone, which the manual
# rules out here; a running server has them loaded and so does not notice. +00:00, UTC and Europe/Berlin work.
# Here: no such setting is written yet; one would be written with +00:00.
source "$(dirname "$0")/postgres.bash"

# Usage: try TIME, which prints whether a running server accepts it, and a starting one.
try() {
    start data 5432
    sql 5432 "ALTER SYSTEM SET recovery_target_time = '$1'"
    stop data
    : > "$folder/data.log"
    if start data 5432 2>/dev/null; then
        echo "$1: accepted by ALTER SYSTEM, starts"
        sql 5432 "ALTER SYSTEM RESET ALL"
        stop data
        return
    fi
    echo "$1: accepted by ALTER SYSTEM, does not start: $(sed -n 's/.* LOG:  //p' "$folder/data.log" | tail -n 1)"
    : > "$folder/data/postgresql.auto.conf"
    return 1
}

for time in "2026-11-28T10:00:00+00:00" "2026-11-28 10:00:00 UTC" "2026-11-28 11:00:00 Europe/Berlin"; do
    try "$time" || changed "that is refused"
done
if try "2026-11-28T10:00:00Z"; then
    changed "Z is accepted"
fi
grep -q 'invalid value for parameter "recovery_target_time"' "$folder/data.log" || changed "it is another error"
