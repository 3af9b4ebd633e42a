#!/usr/bin/env bash
# PostgreSQL 18.6, a logical subscriber of a server that was set back to a backup. Expected: an error on the subscriber,
# which has changes that its publisher does not know any more; or what is written from now on arrives.
# Seen: neither. The subscriber asks for changes from the WAL position on that it had reached, which is in the future of
# the publisher, and what commits before that position is skipped: no error, no conflict, a lag of zero or less.
# Once the WAL is past the position, rows arrive again, and those in between never do.
# Here: nothing restores a whole server; a restore into a running one only goes forward in its WAL.
source "$(dirname "$0")/postgres.bash"

ERRORS="SELECT apply_error_count FROM pg_stat_subscription_stats"

start_publisher() {
    start publisher 5432 wal_level=logical
}

# Usage: await STATEMENT, on the subscriber.
await() {
    for _ in {1..100}; do
        [ "$(sql 5433 "$1")" != t ] || return 0
        sleep 0.2
    done
    echo "this did not come true within 20 s: $1"
    exit 1
}

start_publisher
start subscriber 5433 wal_retrieve_retry_interval=500ms
for port in 5432 5433; do
    sql $port "CREATE TABLE item (id int PRIMARY KEY, note text)"
done
sql 5432 "CREATE PUBLICATION items FOR TABLE item"
PGOPTIONS="-c client_min_messages=warning" sql 5433 "CREATE SUBSCRIPTION items
    CONNECTION 'host=$folder port=5432 user=postgres dbname=postgres' PUBLICATION items"
sql 5432 "INSERT INTO item VALUES (1, 'before the backup')"
await "SELECT EXISTS (SELECT FROM item WHERE id = 1)"

stop publisher
cp -a "$folder/publisher" "$folder/backup"
start_publisher
sql 5432 "INSERT INTO item SELECT n, 'after the backup' FROM generate_series(2, 2000) AS n"
await "SELECT count(*) = 2000 FROM item"

stop publisher
rm -rf "$folder/publisher"
mv "$folder/backup" "$folder/publisher"
start_publisher
await "SELECT pid IS NOT NULL FROM pg_stat_subscription"
errors_before=$(sql 5433 "$ERRORS")
sql 5432 "INSERT INTO item VALUES (3001, 'after it was set back')"
sleep 3
lag=$(sql 5432 "SELECT pg_current_wal_lsn() - replay_lsn FROM pg_stat_replication WHERE application_name = 'items'")
errors=$(($(sql 5433 "$ERRORS") - errors_before))
rows=$(sql 5433 "SELECT count(*) FROM item WHERE id > 3000")
echo "after 3 s: lag of $lag bytes, $errors new errors; rows from 3001 on: $rows"

sql 5432 "SELECT pg_switch_wal()" >/dev/null
sql 5432 "INSERT INTO item VALUES (3002, 'once the WAL is longer than before')"
await "SELECT EXISTS (SELECT FROM item WHERE id = 3002)"
publisher=$(sql 5432 "SELECT string_agg(id::text, ' ') FROM item WHERE id > 3000")
subscriber=$(sql 5433 "SELECT string_agg(id::text, ' ') FROM item WHERE id > 3000")
echo "the publisher has $publisher, the subscriber $subscriber"
((lag <= 0 && errors == 0)) || changed "lag or errors show it"
[ "$publisher, $subscriber" = "3001 3002, 3002" ] || changed "the row is not missing"
