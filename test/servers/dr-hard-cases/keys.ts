import { type HardCase, hard } from './hard-case.ts';

/** Keys and indexes. */
export const KEYS: readonly HardCase[] = [
  hard(
    'a key of a table to itself, rows in any order',
    'CREATE TABLE a (id int PRIMARY KEY, up int REFERENCES a); INSERT INTO a SELECT n, nullif(101 - n, n) FROM generate_series(1, 100) n',
    'SELECT count(*) = 100 FROM a',
  ),
  hard(
    'a composite key of a table to itself',
    'CREATE TABLE a (x int, y int, ux int, uy int, PRIMARY KEY (x, y), FOREIGN KEY (ux, uy) REFERENCES a); INSERT INTO a VALUES (1, 1, 2, 2), (2, 2, 1, 1)',
  ),
  hard(
    'two keys to one parent',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int REFERENCES p, b int REFERENCES p); INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1, 2)',
    `SELECT count(*) = 2 FROM pg_constraint WHERE conrelid = 'c'::regclass`,
  ),
  hard(
    'two keys of the same columns',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1); ALTER TABLE c ADD CONSTRAINT one FOREIGN KEY (a) REFERENCES p, ADD CONSTRAINT two FOREIGN KEY (a) REFERENCES p ON DELETE CASCADE',
  ),
  hard(
    'a composite key in another order',
    "CREATE TABLE p (a int, b text, PRIMARY KEY (a, b)); CREATE TABLE c (t text, n int, FOREIGN KEY (n, t) REFERENCES p (a, b)); INSERT INTO p VALUES (1, 'x'); INSERT INTO c VALUES ('x', 1)",
  ),
  hard(
    'a key to what is unique and no primary key',
    "CREATE TABLE p (id int PRIMARY KEY, u text UNIQUE); CREATE TABLE c (u text REFERENCES p (u)); INSERT INTO p VALUES (1, 'x'); INSERT INTO c VALUES ('x')",
  ),
  hard(
    'a key to a unique index',
    'CREATE TABLE p (id int); CREATE UNIQUE INDEX p_id ON p (id) INCLUDE (id); DROP INDEX p_id; CREATE UNIQUE INDEX p_id ON p (id); CREATE TABLE c (id int REFERENCES p (id)); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)',
  ),
  hard(
    'actions of keys',
    'CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE c (a int, b int DEFAULT 1, FOREIGN KEY (a, b) REFERENCES p ON DELETE SET NULL (a) ON UPDATE CASCADE); CREATE TABLE d (a int, b int, FOREIGN KEY (a, b) REFERENCES p ON DELETE SET DEFAULT (b) ON UPDATE RESTRICT); INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1)',
  ),
  hard(
    'keys that are checked late',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int REFERENCES p DEFERRABLE INITIALLY DEFERRED, b int REFERENCES p DEFERRABLE); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1)',
    `SELECT bool_or(condeferred) FROM pg_constraint WHERE conrelid = 'c'::regclass`,
  ),
  hard(
    'a key that was never checked, and is broken',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int); INSERT INTO c VALUES (7); ALTER TABLE c ADD CONSTRAINT broken FOREIGN KEY (a) REFERENCES p NOT VALID',
    `SELECT NOT convalidated FROM pg_constraint WHERE conname = 'broken'`,
  ),
  hard(
    'a key that matches in full',
    'CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE c (a int, b int, FOREIGN KEY (a, b) REFERENCES p MATCH FULL); INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1), (NULL, NULL)',
  ),
  hard(
    'a composite key that is NULL in part',
    'CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE c (a int, b int, FOREIGN KEY (a, b) REFERENCES p); INSERT INTO c VALUES (9, NULL), (NULL, 9)',
    'SELECT count(*) = 2 FROM c',
  ),
  hard(
    'a cycle of two',
    'CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); ALTER TABLE a ADD CONSTRAINT ab FOREIGN KEY (b) REFERENCES b; INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1); UPDATE a SET b = 1',
  ),
  hard(
    'a cycle of two without NULL',
    'CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a DEFERRABLE INITIALLY DEFERRED); INSERT INTO b VALUES (1, 1); INSERT INTO a VALUES (1, 1); SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE a ADD CONSTRAINT ab FOREIGN KEY (b) REFERENCES b',
  ),
  hard(
    'a cycle of three',
    'CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY, n int REFERENCES a); CREATE TABLE c (id int PRIMARY KEY, n int REFERENCES b); INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1); INSERT INTO c VALUES (1, 1); ALTER TABLE a ADD CONSTRAINT ac FOREIGN KEY (n) REFERENCES c',
  ),
  hard(
    'two cycles with a table in common',
    'CREATE TABLE a (id int PRIMARY KEY, b int, c int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); CREATE TABLE c (id int PRIMARY KEY, a int REFERENCES a); INSERT INTO a VALUES (1, 1, 1); INSERT INTO b VALUES (1, 1); INSERT INTO c VALUES (1, 1); ALTER TABLE a ADD CONSTRAINT ab FOREIGN KEY (b) REFERENCES b, ADD CONSTRAINT ac FOREIGN KEY (c) REFERENCES c',
  ),
  hard(
    'a cycle in which a table refers to itself too',
    'CREATE TABLE a (id int PRIMARY KEY, b int, self int REFERENCES a); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); INSERT INTO a VALUES (2, 1, 1), (1, 1, 2); INSERT INTO b VALUES (1, 1); ALTER TABLE a ADD CONSTRAINT ab FOREIGN KEY (b) REFERENCES b',
  ),
  hard(
    'keys of one name on two tables',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int CONSTRAINT same REFERENCES p); CREATE TABLE d (a int CONSTRAINT same REFERENCES p); INSERT INTO p VALUES (1); INSERT INTO c VALUES (1); INSERT INTO d VALUES (1)',
    `SELECT count(*) = 2 FROM pg_constraint WHERE conname = 'same' AND connamespace = current_schema()::regnamespace`,
  ),
  hard(
    'a key between schemas',
    'CREATE SCHEMA other_schema; CREATE TABLE other_schema.p (id int PRIMARY KEY); CREATE TABLE c (a int REFERENCES other_schema.p); INSERT INTO other_schema.p VALUES (1); INSERT INTO c VALUES (1)',
  ),
  hard(
    'a key between types',
    'CREATE TABLE p (id bigint PRIMARY KEY, n numeric UNIQUE); CREATE TABLE c (a int REFERENCES p, b int REFERENCES p (n)); INSERT INTO p VALUES (1, 1.0); INSERT INTO c VALUES (1, 1)',
  ),
  hard(
    'a key to a partitioned table',
    'CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p DEFAULT; CREATE TABLE c (a int REFERENCES p); INSERT INTO p VALUES (1), (11); INSERT INTO c VALUES (1), (11)',
  ),
  hard(
    'a key of a partitioned table',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int REFERENCES p) PARTITION BY LIST (a); CREATE TABLE c1 PARTITION OF c FOR VALUES IN (1); CREATE TABLE c2 PARTITION OF c DEFAULT; INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1), (2)',
  ),
  hard(
    'a key between partitioned tables',
    'CREATE TABLE p (id int PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0); CREATE TABLE c (a int REFERENCES p) PARTITION BY LIST (a); CREATE TABLE c1 PARTITION OF c DEFAULT; INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)',
  ),
  hard(
    'a key of a partitioned table to itself',
    'CREATE TABLE a (id int PRIMARY KEY, up int REFERENCES a) PARTITION BY RANGE (id); CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (10); CREATE TABLE a2 PARTITION OF a DEFAULT; INSERT INTO a VALUES (11, NULL), (1, 11); UPDATE a SET up = 1 WHERE id = 11',
  ),
  hard(
    'a key of one partition only',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (a int) PARTITION BY LIST (a); CREATE TABLE c1 PARTITION OF c FOR VALUES IN (1); CREATE TABLE c2 PARTITION OF c FOR VALUES IN (2); ALTER TABLE c1 ADD FOREIGN KEY (a) REFERENCES p; INSERT INTO p VALUES (1); INSERT INTO c VALUES (1), (2)',
  ),
  hard(
    'a key to a table that others inherit from',
    'CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE q () INHERITS (p); CREATE TABLE c (a int REFERENCES p); INSERT INTO p VALUES (1); INSERT INTO q VALUES (2); INSERT INTO c VALUES (1)',
  ),
  hard(
    'a primary key that is checked late',
    'CREATE TABLE a (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, u int UNIQUE DEFERRABLE); INSERT INTO a VALUES (1, 1)',
  ),
  hard(
    'a unique key in which NULLs are equal',
    'CREATE TABLE a (x int, y int, UNIQUE NULLS NOT DISTINCT (x, y)); INSERT INTO a VALUES (NULL, 1), (NULL, 2)',
  ),
  hard(
    'keys that include more columns',
    'CREATE TABLE a (x int, y int, z int, PRIMARY KEY (x) INCLUDE (z), UNIQUE (y) INCLUDE (x, z)); INSERT INTO a VALUES (1, 2, 3)',
  ),
  hard(
    'a key that took over an index with options',
    'CREATE TABLE a (x int NOT NULL); CREATE UNIQUE INDEX mine ON a (x) WITH (fillfactor = 50); ALTER TABLE a ADD CONSTRAINT yours UNIQUE USING INDEX mine',
    `SELECT 'fillfactor=50' = ANY (reloptions) FROM pg_class WHERE relname = 'yours'`,
  ),
  hard(
    'exclusion',
    "CREATE TABLE a (room int, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 0) DEFERRABLE); INSERT INTO a VALUES (1, '[2024-01-01,2024-01-02)'), (1, '[2024-01-02,2024-01-03)'), (0, '(,)'), (0, '(,)')",
    'SELECT count(*) = 4 FROM a',
  ),
  hard(
    'exclusion by an expression',
    "CREATE TABLE a (t text, EXCLUDE USING btree (lower(t) WITH =)); INSERT INTO a VALUES ('x'), ('Y')",
  ),
  hard(
    'an index of some rows',
    "CREATE TABLE a (x int, y text); CREATE UNIQUE INDEX ON a (x) WHERE y IS NULL AND x <> ALL ('{1,2}'); INSERT INTO a VALUES (1, NULL), (1, NULL), (3, 'z'), (3, 'z')",
    'SELECT count(*) = 4 FROM a',
  ),
  hard(
    'an index of expressions',
    "CREATE TABLE a (x text); CREATE INDEX ON a ((lower(x) COLLATE \"C\") text_pattern_ops DESC NULLS LAST, (x || 'it''s')); ALTER INDEX a_lower_expr_idx ALTER COLUMN 2 SET STATISTICS 9",
  ),
  hard(
    "an index by a function of one's own",
    `CREATE FUNCTION f(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT reverse($1)$$; CREATE TABLE a (x text); INSERT INTO a VALUES ('ab'); CREATE INDEX ON a (f(x))`,
  ),
  hard(
    'indexes of every kind',
    "CREATE TABLE a (x int, t text, j jsonb, p point, ts tsvector, r int4range, n int[]); INSERT INTO a VALUES (1, 't', '{\"a\":1}', '(1,2)', 'fat', '[1,2)', '{1}'); CREATE INDEX ON a USING hash (x); CREATE INDEX ON a USING gin (j jsonb_path_ops); CREATE INDEX ON a USING gin (ts) WITH (fastupdate = off); CREATE INDEX ON a USING gist (p); CREATE INDEX ON a USING spgist (t); CREATE INDEX ON a USING brin (x) WITH (pages_per_range = 4, autosummarize = on); CREATE INDEX ON a USING gist (r range_ops); CREATE INDEX ON a USING gin (t gin_trgm_ops); CREATE INDEX ON a USING brin (x int4_minmax_multi_ops (values_per_range = 16)); CREATE INDEX ON a USING gist (t gist_trgm_ops (siglen = 32)); CREATE INDEX ON a USING bloom (x) WITH (length = 80, col1 = 2)",
    `SELECT count(*) = 11 FROM pg_index WHERE indrelid = 'a'::regclass`,
  ),
  hard('two equal indexes', 'CREATE TABLE a (x int); CREATE INDEX one ON a (x); CREATE INDEX two ON a (x)'),
  hard(
    'an index that failed halfway, which no copy has',
    [
      'CREATE TABLE a (x int); INSERT INTO a VALUES (1), (1)',
      `DO $$BEGIN INSERT INTO pg_class SELECT; EXCEPTION WHEN OTHERS THEN NULL; END$$; CREATE INDEX half ON a (x); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'half'::regclass`,
    ],
    'SELECT count(*) = 2 FROM a',
  ),
  hard(
    'an index of a partitioned table that lacks a partition',
    'CREATE TABLE a (x int) PARTITION BY LIST (x); CREATE TABLE a1 PARTITION OF a FOR VALUES IN (1); CREATE INDEX lacking ON ONLY a (x)',
    `SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 'lacking'::regclass`,
  ),
  hard(
    'an index of a materialized view',
    'CREATE TABLE a (x int); INSERT INTO a VALUES (1), (2); CREATE MATERIALIZED VIEW m AS SELECT x FROM a; CREATE UNIQUE INDEX ON m (x)',
    'SELECT count(*) = 2 FROM m',
  ),
  hard(
    'an index by a collation',
    "CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk'); CREATE TABLE a (t text COLLATE german); INSERT INTO a VALUES ('ä'), ('ae'); CREATE INDEX ON a (t); CREATE INDEX ON a (t COLLATE \"C\")",
  ),
  hard(
    'a unique key by a collation to which letters are equal',
    "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE p (t text COLLATE loose PRIMARY KEY); CREATE TABLE c (t text COLLATE loose REFERENCES p); INSERT INTO p VALUES ('Ab'); INSERT INTO c VALUES ('aB')",
    'SELECT count(*) = 1 FROM c',
  ),
  hard(
    'statistics over columns and expressions',
    "CREATE TABLE a (x int, y int, t text); CREATE STATISTICS st (ndistinct, dependencies, mcv) ON x, y FROM a; CREATE STATISTICS st2 ON (x + y), lower(t) FROM a; ALTER STATISTICS st SET STATISTICS 50; COMMENT ON STATISTICS st IS 'it''s'",
  ),
  hard(
    'a check over several columns with quotes',
    `CREATE TABLE a (x int, t text, CONSTRAINT "it's ""a"" check" CHECK (x > 0 AND t ~ E'^[\\\\w''";]*$')); INSERT INTO a VALUES (1, 'a;''"')`,
  ),
  hard(
    'NOT NULL of a primary key that was dropped',
    'CREATE TABLE a (x int PRIMARY KEY); ALTER TABLE a DROP CONSTRAINT a_pkey; INSERT INTO a VALUES (1), (1)',
    "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'x'",
  ),
  hard(
    'a child that is loaded before its parent by size',
    "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p, v text); INSERT INTO p SELECT generate_series(1, 10); INSERT INTO c SELECT 1 + n % 10, repeat('x', 500) FROM generate_series(1, 5000) n",
    'SELECT count(*) = 5000 FROM c',
  ),
  hard(
    'a chain of ten keys',
    `DO $$BEGIN CREATE TABLE t0 (id int PRIMARY KEY); INSERT INTO t0 VALUES (1); FOR i IN 1..10 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY REFERENCES t%s); INSERT INTO t%1$s VALUES (1)', i, i - 1); END LOOP; END$$`,
  ),
];
