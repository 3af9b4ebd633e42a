#!/usr/bin/env bash
# PostgreSQL 18.6, REINDEX TABLE of a table with a column that may be stored in TOAST. It lets others read the table, as COPY
# does. Expected of pg_table_size, which is "excluding indexes": that it answers at once, as pg_relation_size does.
# Seen: it waits until the REINDEX has ended, as long as that takes, and pg_total_relation_size does too. It counts the TOAST
# table with its index, and REINDEX TABLE has the strongest lock on that one as well. Without such a column it does not wait.
# Here: a backup adds up pg_relation_size of table and TOAST table and takes the sizes of indexes from pg_class, which locks
# none (plugins/module_utils/artifact/sizes.py).
source "$(dirname "$0")/postgres.bash"

start data 5432
sql 5432 "CREATE TABLE numbers (a integer PRIMARY KEY)"
sql 5432 "CREATE TABLE texts (a integer PRIMARY KEY, b text)"
psql -XqAt -p 5432 -c "BEGIN" -c "REINDEX TABLE numbers" -c "REINDEX TABLE texts" -c "SELECT pg_sleep(60)" >/dev/null 2>&1 &
holder=$!
until [ "$(sql 5432 "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")" = 1 ]; do sleep 0.1; done

# Usage: within_a_second STATEMENT. Prints whether it ended.
within_a_second() {
    if PGOPTIONS="-c lock_timeout=1s" sql 5432 "$1" >/dev/null 2>"$folder/refused"; then
        echo "ends"
    else
        grep -q "lock timeout" "$folder/refused" || { cat "$folder/refused"; exit 1; }
        echo "waits"
    fi
}
for expected in "ends COPY texts TO STDOUT" "ends SELECT pg_relation_size('texts')" \
    "ends SELECT pg_table_size('numbers')" "waits SELECT pg_table_size('texts')" \
    "waits SELECT pg_total_relation_size('texts')"; do
    statement=${expected#* }
    answer=$(within_a_second "$statement")
    echo "$statement: $answer"
    [ "$answer" = "${expected%% *}" ] || changed "expected that it ${expected%% *}"
done
kill "$holder"
