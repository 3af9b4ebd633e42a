-- Times at their ends: infinity, before Christ, leap seconds, 24:00, odd time zones, mixed intervals.
CREATE TABLE t (a timestamptz, b date, c time, d timetz, e interval, f timestamp);
INSERT INTO t VALUES ('infinity', '-infinity', '24:00', '23:59:60+15:59', '-178000000 years', '4713-01-01 BC'),
    ('294276-12-31 23:59:59.999999+00', '5874897-12-31', '00:00:00.000001', '00:00-15:59', '1 mon -1 day 00:00:00.1', 'infinity'),
    ('2000-02-29 12:00 America/St_Johns', '0001-01-01 BC', NULL, NULL, '0', '1999-12-31 23:59:60');
