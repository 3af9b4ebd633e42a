#!/usr/bin/env bash
# PostgreSQL 18.6, EXPLAIN without ANALYZE of SELECT * FROM a table, without a condition. Expected: no function is called;
# no index can help such a query, and it is not executed.
# Seen: the planner first reads all indexes and statistics objects of the table and evaluates what is constant in their
# expressions and predicates, so an immutable function with constant arguments is called. COPY of the table, which is not
# planned, calls none.
# Here: tables are read with the rights of their owners, as planning calls what these have written (docs/decisions/0019).
source "$(dirname "$0")/postgres.bash"

start data 5432
sql 5432 "CREATE FUNCTION noticed(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
              \$\$ BEGIN RAISE NOTICE 'called for the %', \$1; RETURN \$1; END \$\$;
          CREATE TABLE item (id int, note text);
          INSERT INTO item VALUES (1, 'one');
          CREATE INDEX ON item (id) WHERE noticed('predicate') <> '';
          CREATE INDEX ON item ((note || noticed('expression')));
          CREATE STATISTICS item_notes ON id, (note || noticed('statistics')) FROM item" 2>/dev/null

# Usage: notices STATEMENT, in a session of its own.
notices() {
    sql 5432 "$1" 2>&1 >/dev/null | sed -n 's/^NOTICE:  //p' | sort | paste -sd ,
}
explain=$(notices "EXPLAIN SELECT * FROM item")
copy=$(notices "COPY item TO STDOUT")
echo "EXPLAIN SELECT * FROM item: $explain"
echo "COPY item TO STDOUT: ${copy:-no call}"
all="called for the expression,called for the predicate,called for the statistics"
[ "$explain" = "$all" ] || changed "other functions are called"
[ -z "$copy" ] || changed "COPY calls functions"
