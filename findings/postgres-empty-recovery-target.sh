#!/usr/bin/env bash
# PostgreSQL 18.6, the five settings recovery_target*, of which one may be set. Expected of one that is set to the empty
# text, its default: that it does not count, wherever it stands.
# Seen: before the one that is set it does not count. After it, the server does not start: "multiple recovery targets
# specified". So whether a restore works depends on the order in which a tool clears the others, also by ALTER SYSTEM,
# which appends; RESET works.
# Here: no such setting is written yet.
source "$(dirname "$0")/postgres.bash"

# Usage: try LINE..., the content of postgresql.auto.conf.
try() {
    printf '%s\n' "$@" > "$folder/data/postgresql.auto.conf"
    : > "$folder/data.log"
    printf '%s; ' "$@"
    if start data 5432 2>/dev/null; then
        echo "starts"
        stop data
    else
        sed -n 's/.* FATAL:  //p' "$folder/data.log"
        return 1
    fi
}

time="recovery_target_time = '2026-11-28 10:00:00+00'"
name="recovery_target_name = ''"
start data 5432
sql 5432 "ALTER SYSTEM SET $time"
sql 5432 "ALTER SYSTEM SET $name"
echo "ALTER SYSTEM has written: $(grep -v '^#' "$folder/data/postgresql.auto.conf" | paste -sd ';')"
stop data
try "$name" "$time" || changed "an empty target before it counts"
if try "$time" "$name"; then
    changed "an empty target after it does not count"
fi
grep -q "multiple recovery targets specified" "$folder/data.log" || changed "it is another error"
