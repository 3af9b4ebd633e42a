#!/usr/bin/env bash
# PostgreSQL 18.6, hash_record_extended. Expected of the sum of a table's row hashes: another one once rows differ.
# Seen: it stays the same when rows exchange the values of a column, here two balances. The hash of a row is 31 times
# the hash so far plus that of the next value, so the sum depends on what each column holds, and not on which row holds
# it. The sum of the hashes of the rows' text changes.
# Here: the hash of a row is hashed once more before it is added (docs/decisions/0015).
source "$(dirname "$0")/postgres.bash"

start data 5432
sql 5432 "CREATE TABLE before (account int, holder text, balance numeric);
          INSERT INTO before VALUES (1, 'Ada', 100), (2, 'Grace', 250), (3, 'Edsger', 75);
          CREATE TABLE after (LIKE before);
          INSERT INTO after VALUES (1, 'Ada', 250), (2, 'Grace', 100), (3, 'Edsger', 75)"

# Modulo 2^64: a sum of bigint is a numeric.
sum_of() {
    sql 5432 "SELECT mod(sum($1) + 2::numeric ^ 70, 2::numeric ^ 64)::numeric(20) FROM $2 AS t"
}
for table in before after; do
    echo "$table: $(sql 5432 "SELECT string_agg(t::text, ' ') FROM $table AS t")"
done
text=("$(sum_of 'hashtextextended(t::text, 0)' before)" "$(sum_of 'hashtextextended(t::text, 0)' after)")
record=("$(sum_of 'hash_record_extended(t, 0)' before)" "$(sum_of 'hash_record_extended(t, 0)' after)")
echo "sum of hashtextextended:     ${text[0]} before, ${text[1]} after"
echo "sum of hash_record_extended: ${record[0]} before, ${record[1]} after"
[ "${text[0]}" != "${text[1]}" ] || changed "the texts have the same sum too"
[ "${record[0]}" = "${record[1]}" ] || changed "the sum shows the exchange"
