-- A subscription, whose publisher nobody asks.
-- warning: subscriptions stay in the replaced database
CREATE TABLE t (n int);
CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 dbname=x password=secret' PUBLICATION a, b WITH (connect = false, slot_name = 'x', binary = true);
