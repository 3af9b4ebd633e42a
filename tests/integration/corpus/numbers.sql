-- Numbers at their ends: infinities, NaN, both zeros, denormal ones, trailing zeros, 100,000 digits.
CREATE TABLE t (a float8, b float4, c numeric, d numeric(1000, 500), e money, f int2);
INSERT INTO t VALUES ('NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', -32768), ('inf', '-inf', 'infinity', 1, 0, 0), ('-0', '-0', 1.000, 0.1, NULL, NULL),
    (5e-324, 1e-45, 1e-16000, 1e-400, NULL, NULL), (1.7976931348623157e308, 3.4028235e38, 1e100000, 1e400, NULL, NULL), (0.1, 0.1, -1.0, NULL, NULL, NULL);
