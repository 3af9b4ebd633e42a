-- One line for each table and materialized view: its name, its rows, a checksum of them in any order.
SELECT format($$SELECT %L, count(*), sum(hashtextextended(t::text, 0)) FROM %s AS t$$,
              c.oid::regclass::text, c.oid::regclass)
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm')
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY 1
\gexec
