#!/usr/bin/env bash
# PostgreSQL 18.6, hashint8extended, which gives 64 bits. Expected of a thousand different bigint: as many hashes.
# Seen: one, if the upper half of each is the same as its lower half: the halves are combined into 32 bits before
# anything is hashed, so that a bigint has the hash of the integer of the same value. So too 1 and 2^32 share one. A table
# partitioned by the hash of such a key has all rows in one partition. As text, all have their own.
# Here: the upper half is hashed besides (docs/decisions/0015).
source "$(dirname "$0")/postgres.bash"

start data 5432
sql 5432 "CREATE TABLE pair (key bigint) PARTITION BY HASH (key)"
for remainder in 0 1 2 3; do
    sql 5432 "CREATE TABLE pair_$remainder PARTITION OF pair FOR VALUES WITH (MODULUS 4, REMAINDER $remainder)"
done
sql 5432 "INSERT INTO pair SELECT (n << 32) + n FROM generate_series(1::bigint, 1000) AS n"
count() {
    sql 5432 "SELECT count(DISTINCT $1) FROM pair"
}
hashes=$(count 'hashint8extended(key, 0)') texts=$(count 'hashtextextended(key::text, 0)') parts=$(count tableoid)
echo "$(count key) keys from $(sql 5432 'SELECT min(key) FROM pair') to $(sql 5432 'SELECT max(key) FROM pair')"
echo "hashes: $hashes, of their text: $texts; partitions with rows, of 4: $parts"
[ "$texts" = 1000 ] || changed "their text has fewer hashes than values"
[ "$hashes" = 1 ] || changed "there are more hashes"
[ "$parts" = 1 ] || changed "there are more partitions with rows"
