import { type HardCase, hard } from './hard-case.ts';

/** Objects other than tables. */
export const OBJECTS: readonly HardCase[] = [
  hard(
    'functions of one name',
    `CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION f(text, VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE FUNCTION f(OUT a int, INOUT b text) LANGUAGE sql AS $$SELECT 1, $1$$; CREATE FUNCTION f() RETURNS TABLE (x int, "Y" text) LANGUAGE sql AS $$SELECT 1, 'y'$$`,
    `SELECT f('x', 1, 2) = 2 AND f(1) = 1`,
  ),
  hard(
    'function bodies that hold every dollar quote',
    `CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $outer$SELECT $$a$$ || $_$b$_$ || $function$c$function$ -- ';
$outer$`,
    'SELECT f()',
    'abc',
  ),
  hard(
    'function bodies in SQL itself',
    'CREATE TABLE a (x int); INSERT INTO a VALUES (1), (2); CREATE FUNCTION f(n int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM a WHERE x > n; END; CREATE FUNCTION g() RETURNS int RETURN f(0)::int + 1',
    'SELECT g() = 3',
  ),
  hard(
    'a function whose body speaks of what was made later',
    `SET check_function_bodies = off; CREATE FUNCTION f() RETURNS SETOF int LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT x FROM later'; RESET check_function_bodies; CREATE TABLE later (x int); INSERT INTO later VALUES (7)`,
    'SELECT f() = 7',
  ),
  hard(
    'functions with all their options',
    `CREATE FUNCTION f(a int DEFAULT 1, b text DEFAULT 'it''s') RETURNS text LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER LEAKPROOF PARALLEL SAFE COST 7 SET work_mem = '1MB' SET search_path = pg_catalog, "$user" AS 'BEGIN RETURN b || a; END'; CREATE FUNCTION g() RETURNS SETOF int LANGUAGE sql ROWS 5 WINDOW AS 'SELECT 1'; COMMENT ON FUNCTION f IS E'a\\nb'`,
    `SELECT f() = 'it''s1'`,
  ),
  hard(
    'procedures',
    `CREATE TABLE a (x int); CREATE PROCEDURE p(n int, INOUT m int DEFAULT 0) LANGUAGE plpgsql AS 'BEGIN COMMIT; m := n; END'; GRANT EXECUTE ON PROCEDURE p TO clerk`,
  ),
  hard(
    'aggregates',
    `CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text, INITCOND = ''); CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', COMBINEFUNC = int4pl, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int, MINITCOND = '0', PARALLEL = SAFE); CREATE AGGREGATE middle(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA)`,
    `SELECT joined(v) = 'ab' FROM (VALUES ('a'), ('b')) x(v)`,
  ),
  hard(
    'operators that refer to each other',
    `CREATE FUNCTION lt(int, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 < length($2)'; CREATE FUNCTION gt(text, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT length($1) > $2'; CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = text, FUNCTION = lt, COMMUTATOR = >>>, RESTRICT = scalarltsel); CREATE OPERATOR >>> (LEFTARG = text, RIGHTARG = int, FUNCTION = gt, COMMUTATOR = <<<); CREATE FUNCTION minus(int) RETURNS int LANGUAGE sql AS 'SELECT -$1'; CREATE OPERATOR !! (RIGHTARG = int, FUNCTION = minus)`,
    `SELECT 1 <<< 'ab' AND (!! 1) = -1`,
  ),
  hard(
    'operator classes and families',
    `CREATE OPERATOR FAMILY fam USING btree; CREATE OPERATOR CLASS down FOR TYPE int USING btree FAMILY fam AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int, int); CREATE FUNCTION backwards(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)'; CREATE OPERATOR CLASS down2 FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 backwards(int, int); CREATE TABLE a (x int); INSERT INTO a VALUES (1), (2); CREATE INDEX ON a (x down2)`,
  ),
  hard(
    'casts',
    `CREATE TYPE c AS (x int); CREATE FUNCTION to_c(int) RETURNS c LANGUAGE sql IMMUTABLE AS 'SELECT ROW($1)::c'; CREATE CAST (int AS c) WITH FUNCTION to_c(int) AS ASSIGNMENT; CREATE DOMAIN d AS text; CREATE TYPE e AS ENUM ('a'); CREATE CAST (e AS bytea) WITH INOUT; CREATE TABLE a (x c); INSERT INTO a VALUES (5)`,
    'SELECT (x).x = 5 FROM a',
  ),
  hard('a conversion', `CREATE CONVERSION my_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8`),
  hard(
    "text search of one's own",
    `CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple, STOPWORDS = english); CREATE TEXT SEARCH CONFIGURATION c (COPY = english); ALTER TEXT SEARCH CONFIGURATION c ALTER MAPPING FOR asciiword WITH d, english_stem; CREATE TABLE a (t text, v tsvector); INSERT INTO a SELECT 'The Cats', to_tsvector('c', 'The Cats')`,
    `SELECT v = to_tsvector('c', t) FROM a`,
  ),
  hard(
    'a text search parser and template',
    'CREATE TEXT SEARCH PARSER p (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline); CREATE TEXT SEARCH TEMPLATE t (INIT = dsimple_init, LEXIZE = dsimple_lexize)',
  ),
  hard(
    'views of views',
    'CREATE TABLE a (x int, y text); INSERT INTO a VALUES (1, \'z\'); CREATE VIEW z AS SELECT x AS "X x", y FROM a; CREATE VIEW b AS SELECT * FROM z WHERE "X x" > 0; CREATE VIEW c ("one", two) AS SELECT * FROM b',
    'SELECT "one" = 1 FROM c',
  ),
  hard(
    'views with options',
    'CREATE TABLE a (x int); CREATE VIEW v WITH (security_barrier, security_invoker) AS SELECT x FROM a WHERE x > 2; CREATE VIEW w AS SELECT x FROM v WHERE x < 9 WITH CASCADED CHECK OPTION; CREATE VIEW l AS SELECT x FROM a WHERE x < 9 WITH LOCAL CHECK OPTION; ALTER VIEW v ALTER x SET DEFAULT 3',
  ),
  hard(
    'a recursive view',
    'CREATE RECURSIVE VIEW counted (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counted WHERE n < 5',
    'SELECT count(*) = 5 FROM counted',
  ),
  hard(
    'a view that needs the key of its table',
    "CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a VALUES (1, 't'); CREATE VIEW v AS SELECT id, t, count(*) FROM a GROUP BY id; CREATE VIEW w AS SELECT * FROM v; CREATE MATERIALIZED VIEW m AS SELECT * FROM w",
    'SELECT count(*) = 1 FROM m',
  ),
  hard(
    'a function that returns rows of a view that needs a key',
    `CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a VALUES (1, 't'); CREATE VIEW v AS SELECT id, t FROM a GROUP BY id; CREATE FUNCTION f() RETURNS SETOF v LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT * FROM v'`,
    'SELECT count(*) = 1 FROM f()',
  ),
  hard(
    'a view without columns, and one of a function',
    `CREATE VIEW nothing AS SELECT; CREATE FUNCTION f() RETURNS TABLE (x int) LANGUAGE sql AS 'SELECT 1'; CREATE VIEW v AS SELECT * FROM f() WITH ORDINALITY`,
    'SELECT x = 1 FROM v',
  ),
  hard(
    'views that refer to each other',
    'CREATE VIEW v AS SELECT 1 AS x; CREATE VIEW w AS SELECT x FROM v; CREATE OR REPLACE VIEW v AS SELECT 1 AS x WHERE EXISTS (SELECT FROM w)',
  ),
  hard(
    'materialized views: filled, not filled, of each other',
    'CREATE TABLE a (x int); INSERT INTO a VALUES (1), (2); CREATE MATERIALIZED VIEW z AS SELECT count(*) AS n FROM a; CREATE MATERIALIZED VIEW b AS SELECT n * 2 AS n FROM z; CREATE VIEW between_them AS SELECT n FROM b; CREATE MATERIALIZED VIEW aa WITH (fillfactor = 50) AS SELECT n + 1 AS n FROM between_them; CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS x FROM a WITH NO DATA',
    'SELECT n = 5 FROM aa',
  ),
  hard(
    'a materialized view that needs the key of its table, with an index',
    "CREATE TABLE a (id int PRIMARY KEY, t text); INSERT INTO a VALUES (1, 't'); CREATE MATERIALIZED VIEW m AS SELECT id, t, count(*) FROM a GROUP BY id; CREATE UNIQUE INDEX m_id ON m (id); COMMENT ON INDEX m_id IS 'late'; ALTER MATERIALIZED VIEW m CLUSTER ON m_id",
    'SELECT count(*) = 1 FROM m',
  ),
  hard(
    'a materialized view by a function that reads a table',
    `CREATE TABLE a (x int); INSERT INTO a VALUES (3); CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT max(x) FROM a'; CREATE MATERIALIZED VIEW m AS SELECT f() AS x`,
    'SELECT x = 3 FROM m',
  ),
  hard(
    'rules of tables and views',
    'CREATE TABLE a (x int); CREATE TABLE log (x int); INSERT INTO a VALUES (1); CREATE RULE logs AS ON UPDATE TO a WHERE NEW.x > 1 DO ALSO (INSERT INTO log VALUES (NEW.x); DELETE FROM log WHERE x < 0); CREATE RULE tells AS ON DELETE TO a DO ALSO NOTIFY changed; CREATE VIEW v AS SELECT x FROM a; CREATE RULE through AS ON INSERT TO v DO INSTEAD INSERT INTO a VALUES (NEW.x) RETURNING x; ALTER TABLE a DISABLE RULE logs',
    'SELECT count(*) = 0 FROM log',
  ),
  hard(
    'triggers that must not fire on load',
    `CREATE TABLE a (x int); INSERT INTO a VALUES (1); CREATE TABLE fired (); CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS 'BEGIN INSERT INTO fired DEFAULT VALUES; RETURN NEW; END'; CREATE TRIGGER b BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION fire(); CREATE TRIGGER s AFTER INSERT ON a FOR EACH STATEMENT EXECUTE FUNCTION fire(); ALTER TABLE a ENABLE ALWAYS TRIGGER s; CREATE TRIGGER r AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION fire(); ALTER TABLE a ENABLE REPLICA TRIGGER r; CREATE TRIGGER t AFTER TRUNCATE ON a EXECUTE FUNCTION fire()`,
    'SELECT count(*) = 0 FROM fired',
  ),
  hard(
    'triggers of every kind',
    `CREATE TABLE a (x int, y text); CREATE VIEW v AS SELECT * FROM a; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER w BEFORE UPDATE OF y, x ON a FOR EACH ROW WHEN (OLD.y IS DISTINCT FROM NEW.y AND NEW.x > 0) EXECUTE FUNCTION f('it''s', E'a\\nb'); CREATE TRIGGER t AFTER UPDATE ON a REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION f(); CREATE CONSTRAINT TRIGGER c AFTER DELETE ON a DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f(); CREATE TRIGGER i INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE a DISABLE TRIGGER w; COMMENT ON TRIGGER t ON a IS 'it''s'`,
    `SELECT count(*) = 3 FROM pg_trigger WHERE tgrelid = 'a'::regclass`,
  ),
  hard(
    'a trigger of a partitioned table, off in one partition',
    `CREATE TABLE a (x int) PARTITION BY LIST (x); CREATE TABLE a1 PARTITION OF a FOR VALUES IN (1); CREATE TABLE a2 PARTITION OF a FOR VALUES IN (2); INSERT INTO a VALUES (1), (2); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END'; CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE a1 DISABLE TRIGGER t`,
    'SELECT count(*) = 2 FROM a',
  ),
  hard(
    'event triggers',
    `CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END'; CREATE EVENT TRIGGER hard_one ON ddl_command_start WHEN TAG IN ('CREATE CAST', 'DROP CAST') EXECUTE FUNCTION f(); CREATE EVENT TRIGGER hard_two ON sql_drop EXECUTE FUNCTION f(); ALTER EVENT TRIGGER hard_two DISABLE; COMMENT ON EVENT TRIGGER hard_two IS 'off'`,
  ),
  hard(
    'policies',
    `CREATE TABLE a (x int, who name); INSERT INTO a VALUES (1, 'app'); ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY one ON a AS RESTRICTIVE FOR UPDATE TO clerk, PUBLIC USING (who = current_user) WITH CHECK (x > 0); CREATE POLICY two ON a FOR INSERT WITH CHECK (EXISTS (SELECT FROM a b WHERE b.x = a.x)); COMMENT ON POLICY one ON a IS 'it''s'`,
    'SELECT count(*) = 1 FROM a',
  ),
  hard(
    'grants on everything',
    `CREATE TABLE a (x int, y int); CREATE VIEW v AS SELECT 1; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN d AS int; GRANT SELECT, INSERT (x), UPDATE (x, y), REFERENCES ON a TO clerk; GRANT ALL ON a TO keeper WITH GRANT OPTION; GRANT SELECT ON v TO PUBLIC; REVOKE ALL ON FUNCTION f() FROM PUBLIC; GRANT EXECUTE ON FUNCTION f() TO clerk; REVOKE USAGE ON TYPE e FROM PUBLIC; GRANT USAGE ON DOMAIN d TO clerk; REVOKE ALL ON a FROM app`,
    `SELECT has_column_privilege('clerk', 'a', 'y', 'UPDATE')`,
  ),
  hard(
    'a grant by somebody who was granted it',
    `CREATE TABLE a (x int); GRANT SELECT ON a TO keeper WITH GRANT OPTION; DO $$BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO keeper', current_schema()); END$$; SET ROLE keeper; GRANT SELECT ON a TO clerk; RESET ROLE`,
    `SELECT has_table_privilege('clerk', 'a', 'SELECT')`,
  ),
  hard(
    'what is granted by default',
    `CREATE SCHEMA defaults; ALTER DEFAULT PRIVILEGES FOR ROLE keeper IN SCHEMA defaults GRANT SELECT ON TABLES TO clerk; ALTER DEFAULT PRIVILEGES FOR ROLE keeper REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT USAGE ON SCHEMAS TO clerk`,
  ),
  hard(
    'owners of everything',
    `CREATE TABLE a (id serial); CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW m AS SELECT 1 AS x; CREATE FUNCTION f(int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE g(text) (SFUNC = textcat, STYPE = text); CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN d AS int; CREATE SEQUENCE s; CREATE STATISTICS st ON (id + 1) FROM a; CREATE COLLATION c (locale = 'C'); CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
    DO $$DECLARE x text; BEGIN EXECUTE format('GRANT ALL ON SCHEMA %I TO keeper', current_schema()); FOREACH x IN ARRAY ARRAY['TABLE a', 'VIEW v', 'MATERIALIZED VIEW m', 'FUNCTION f(int)', 'AGGREGATE g(text)', 'TYPE e', 'DOMAIN d', 'SEQUENCE s', 'STATISTICS st', 'COLLATION c', 'OPERATOR === (int, int)'] LOOP EXECUTE 'ALTER ' || x || ' OWNER TO keeper'; END LOOP; END$$`,
    `SELECT bool_and(rolname = 'keeper') FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE relname IN ('a', 'v', 'm', 's') AND relnamespace = current_schema()::regnamespace`,
  ),
  hard(
    'comments on everything',
    `CREATE TABLE a (x int PRIMARY KEY, CONSTRAINT c CHECK (x > 0)); CREATE VIEW v AS SELECT 1 AS x; CREATE TYPE e AS ENUM ('a'); CREATE DOMAIN d AS int CONSTRAINT dc CHECK (VALUE > 0); CREATE SEQUENCE s; COMMENT ON TABLE a IS E'it''s\\n"a"\\\\'; COMMENT ON COLUMN a.x IS ';'; COMMENT ON CONSTRAINT c ON a IS '--'; COMMENT ON INDEX a_pkey IS '/*'; COMMENT ON VIEW v IS '$$'; COMMENT ON COLUMN v.x IS ''''; COMMENT ON TYPE e IS 'é😀'; COMMENT ON DOMAIN d IS 'd'; COMMENT ON CONSTRAINT dc ON DOMAIN d IS 'dc'; COMMENT ON SEQUENCE s IS 's'`,
    `SELECT obj_description('a'::regclass) = E'it''s\\n"a"\\\\'`,
  ),
  hard(
    'publications',
    `CREATE TABLE a (x int PRIMARY KEY, y int); CREATE TABLE b (x int); CREATE PUBLICATION hard_everything FOR ALL TABLES WITH (publish = 'insert, truncate'); CREATE PUBLICATION hard_some FOR TABLE a (x) WHERE (x > 1), b; CREATE PUBLICATION hard_root WITH (publish_via_partition_root); DO $$BEGIN EXECUTE format('CREATE PUBLICATION hard_schema FOR TABLES IN SCHEMA %I', current_schema()); END$$`,
  ),
  hard(
    'a subscription that does not run',
    `CREATE SUBSCRIPTION hard_subscription CONNECTION 'host=nowhere dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)`,
  ),
  hard(
    'a server of foreign data, with users',
    `CREATE FOREIGN DATA WRAPPER hard_wrapper; CREATE SERVER hard_server TYPE 't' VERSION '1' FOREIGN DATA WRAPPER hard_wrapper OPTIONS (a 'it''s'); CREATE USER MAPPING FOR PUBLIC SERVER hard_server OPTIONS (password 'p'); GRANT USAGE ON FOREIGN SERVER hard_server TO clerk`,
  ),
  hard(
    'a domain whose check was never applied to old rows',
    'CREATE DOMAIN d AS int; CREATE TABLE a (x d); INSERT INTO a VALUES (-1); ALTER DOMAIN d ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID',
    `SELECT NOT convalidated FROM pg_constraint WHERE conname = 'positive' AND contypid = 'd'::regtype`,
  ),
  hard(
    'a domain whose check calls a function',
    `CREATE FUNCTION ok(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 <> ''''; END'; CREATE DOMAIN d AS text DEFAULT 'x' NOT NULL CHECK (ok(VALUE)); CREATE TABLE a (v d, w int); INSERT INTO a (w) VALUES (1)`,
    `SELECT v = 'x' FROM a`,
  ),
  hard(
    'types, functions and defaults that need each other',
    `CREATE TABLE a (x int); CREATE FUNCTION f(a) RETURNS int LANGUAGE sql AS 'SELECT $1.x + 1'; CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 5'; ALTER TABLE a ADD w int DEFAULT g(); CREATE TABLE b (y int DEFAULT g(), z a); INSERT INTO a VALUES (1); INSERT INTO b (z) SELECT a FROM a`,
    'SELECT y = 5 AND f(z) = 2 FROM b',
  ),
  hard(
    'a range type with a function of its difference',
    `CREATE FUNCTION diff(time, time) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT extract(epoch FROM $1 - $2)::float8'; CREATE TYPE timerange AS RANGE (subtype = time, subtype_diff = diff); CREATE TABLE a (x timerange); INSERT INTO a VALUES ('[08:00,24:00)'); CREATE INDEX ON a USING gist (x)`,
  ),
  hard(
    'a type with functions of its own, and one that is only a name',
    `CREATE TYPE my; CREATE FUNCTION my_in(cstring) RETURNS my LANGUAGE internal IMMUTABLE STRICT AS 'textin'; CREATE FUNCTION my_out(my) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout'; CREATE TYPE my (INPUT = my_in, OUTPUT = my_out, LIKE = text, CATEGORY = 'S', COLLATABLE = true); CREATE TYPE only_a_name; CREATE TABLE a (x my); INSERT INTO a VALUES ('it''s')`,
    `SELECT x::text = 'it''s' FROM (SELECT textin(my_out(x)) AS x FROM a) b`,
  ),
  hard(
    'collations',
    `CREATE COLLATION icu (provider = icu, locale = 'sv-SE'); CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false); CREATE COLLATION libc (locale = 'C'); CREATE TABLE a (x text COLLATE loose UNIQUE); INSERT INTO a VALUES ('É')`,
    `SELECT count(*) = 1 FROM a WHERE x = 'e'`,
  ),
  hard(
    'a schema of another owner with grants and a comment',
    `CREATE SCHEMA hard_owned AUTHORIZATION keeper; GRANT USAGE ON SCHEMA hard_owned TO clerk WITH GRANT OPTION; REVOKE CREATE ON SCHEMA hard_owned FROM keeper; COMMENT ON SCHEMA hard_owned IS 'it''s'; CREATE SCHEMA hard_empty`,
  ),
  hard(
    'an extension in a schema of its own',
    "CREATE SCHEMA hard_extensions; CREATE EXTENSION fuzzystrmatch SCHEMA hard_extensions; CREATE TABLE a (x int DEFAULT hard_extensions.levenshtein('a', 'bc')); INSERT INTO a DEFAULT VALUES; COMMENT ON EXTENSION fuzzystrmatch IS 'mine'",
    'SELECT x = 2 FROM a',
  ),
  hard(
    "an index and a column by an extension's operators",
    "CREATE TABLE a (h hstore, c citext UNIQUE, l ltree); INSERT INTO a VALUES ('a=>1', 'AbC', 'a.b'); CREATE INDEX ON a USING gin (h); CREATE INDEX ON a USING gist (l); CREATE VIEW v AS SELECT h -> 'a' AS x FROM a WHERE c = 'abc'",
    `SELECT x = '1' FROM v`,
  ),
  hard(
    'large objects: of several pages, empty, with holes',
    `SELECT lo_from_bytea(81001, decode(repeat('00ff27', 5000), 'hex')), lo_create(81002), lo_create(81003); SELECT lo_put(81003, 100000, 'x')`,
    'SELECT length(lo_get(81003)) = 100001 AND length(lo_get(81001)) = 15000',
  ),
  hard(
    'large objects with owner, grants and comment',
    `SELECT lo_from_bytea(81004, 'x'); ALTER LARGE OBJECT 81004 OWNER TO keeper; GRANT SELECT, UPDATE ON LARGE OBJECT 81004 TO clerk; COMMENT ON LARGE OBJECT 81004 IS 'it''s'; CREATE TABLE a (o oid); INSERT INTO a VALUES (81004)`,
    `SELECT obj_description(81004, 'pg_largeobject') = 'it''s'`,
  ),
  hard(
    'two schemas that need each other',
    `CREATE SCHEMA hard_left; CREATE SCHEMA hard_right; CREATE TABLE hard_left.a (id int PRIMARY KEY, r int); CREATE TABLE hard_right.a (id int PRIMARY KEY, l int REFERENCES hard_left.a); INSERT INTO hard_left.a VALUES (1, 1); INSERT INTO hard_right.a VALUES (1, 1); ALTER TABLE hard_left.a ADD FOREIGN KEY (r) REFERENCES hard_right.a; CREATE VIEW hard_left.v AS SELECT * FROM hard_right.a`,
  ),
];
