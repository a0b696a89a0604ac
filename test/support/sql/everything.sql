-- One of each kind of object that PostgreSQL has, with contents; a fact that a restore may lose stands beside it.
CREATE ROLE clerk;
CREATE ROLE keeper;
CREATE EXTENSION hstore;
CREATE SCHEMA "My Schema" AUTHORIZATION keeper;
COMMENT ON SCHEMA "My Schema" IS 'it''s "mine"';
CREATE TYPE mood AS ENUM ('sad', 'o''k', 'hap"py');
CREATE TYPE "My Schema".pair AS (a int, "B b" text);
CREATE DOMAIN positive AS int DEFAULT 1 CHECK (VALUE > 0);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk', deterministic = false);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS $_$ SELECT $1 * 2 -- '$$;'
$_$;
CREATE FUNCTION twice(t text) RETURNS text LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT t || t; END;
CREATE PROCEDURE nothing() LANGUAGE sql AS '';
CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE CAST (int AS mood) WITH INOUT;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;
CREATE SEQUENCE shared START 5 INCREMENT -3 MINVALUE -100 MAXVALUE 100 CYCLE CACHE 4;
SELECT nextval('shared'), nextval('shared');
CREATE SEQUENCE untouched START 42;

CREATE TABLE "Select" (
  id int GENERATED ALWAYS AS IDENTITY (START 100) PRIMARY KEY,
  "order" text COLLATE german, "Mixed ""Case""" mood, p positive, pair "My Schema".pair, h hstore, s span,
  gone int, doubled text GENERATED ALWAYS AS (twice("order")) STORED,
  parent int REFERENCES "Select" DEFERRABLE INITIALLY DEFERRED,
  number int DEFAULT nextval('shared')
);
ALTER TABLE "Select" DROP COLUMN gone;
INSERT INTO "Select" ("order", "Mixed ""Case""", p, pair, h, s, parent) SELECT chr(64 + n % 26) || E'\t\n\\N', 'hap"py', n,
  ROW(n, 'x,"y')::"My Schema".pair, hstore('k', NULL), '[1,2)', 100 + n % 7 FROM generate_series(1, 50) n;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE INDEX ON "Select" ((lower("order"))) WHERE p > 3;
CREATE UNIQUE INDEX replica ON "Select" (id) INCLUDE (p);
CREATE INDEX "hash index" ON "Select" USING hash (p);
ALTER TABLE "Select" REPLICA IDENTITY USING INDEX replica;
ALTER TABLE "Select" CLUSTER ON "Select_pkey";
ALTER TABLE "Select" ALTER p SET STATISTICS 17, ALTER "order" SET STORAGE EXTERNAL;
CREATE STATISTICS both_columns ON p, "order" FROM "Select";
COMMENT ON TABLE "Select" IS 'a table''s comment';
COMMENT ON COLUMN "Select"."order" IS 'a column''s';
COMMENT ON INDEX replica IS 'an index''s';
COMMENT ON CONSTRAINT "Select_pkey" ON "Select" IS 'a key''s';

CREATE TABLE "My Schema"."Select" (a int, b text, v int UNIQUE NULLS NOT DISTINCT, PRIMARY KEY (a, b) INCLUDE (v));
INSERT INTO "My Schema"."Select" VALUES (1, 'x', NULL), (2, 'y', 2);
ALTER TABLE "My Schema"."Select" OWNER TO keeper;
CREATE TABLE child (id serial PRIMARY KEY, a int, b text, other int UNIQUE, deferred int UNIQUE DEFERRABLE,
  CONSTRAINT same_name FOREIGN KEY (a, b) REFERENCES "My Schema"."Select" MATCH FULL ON DELETE SET NULL,
  CONSTRAINT later CHECK (id < 1000));
CREATE TABLE grandchild (id int PRIMARY KEY REFERENCES child ON UPDATE CASCADE, CONSTRAINT same_name FOREIGN KEY (id) REFERENCES child (other));
INSERT INTO child (a, b, other) VALUES (1, 'x', 1), (NULL, NULL, 2);
INSERT INTO grandchild VALUES (1), (2);
ALTER TABLE child ADD CONSTRAINT never_checked FOREIGN KEY (other) REFERENCES "Select" (id) NOT VALID;
ALTER TABLE child ADD CONSTRAINT unchecked CHECK (other > 1) NOT VALID;
CREATE TABLE left_side (id int PRIMARY KEY, r int NOT NULL);
CREATE TABLE right_side (id int PRIMARY KEY, l int NOT NULL REFERENCES left_side DEFERRABLE);
INSERT INTO left_side VALUES (1, 1), (2, 2);
INSERT INTO right_side VALUES (1, 2), (2, 1);
ALTER TABLE left_side ADD CONSTRAINT cycle FOREIGN KEY (r) REFERENCES right_side;
COMMENT ON CONSTRAINT cycle ON left_side IS 'goes round';

CREATE TABLE measure (id int, day date, kind mood, note text, PRIMARY KEY (id, day, kind)) PARTITION BY RANGE (day);
CREATE TABLE measure_24 PARTITION OF measure FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (kind);
CREATE TABLE measure_24_sad PARTITION OF measure_24 FOR VALUES IN ('sad');
CREATE TABLE measure_24_rest (note text, kind mood NOT NULL, day date NOT NULL, id int NOT NULL);
ALTER TABLE measure_24 ATTACH PARTITION measure_24_rest DEFAULT;
CREATE TABLE measure_rest PARTITION OF measure DEFAULT;
CREATE INDEX ON measure (note);
INSERT INTO measure SELECT n, date '2024-06-01' + n * 20, CASE n % 2 WHEN 0 THEN 'sad' ELSE 'o''k' END::mood, 'n' || n FROM generate_series(1, 40) n;
CREATE TABLE about (id int, day date, kind mood, FOREIGN KEY (id, day, kind) REFERENCES measure);
INSERT INTO about SELECT id, day, kind FROM measure;
CREATE TABLE hashed (id int PRIMARY KEY REFERENCES child) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed VALUES (1), (2);
CREATE TABLE parent_table (id int PRIMARY KEY, v text DEFAULT 'p');
CREATE TABLE child_table (extra text, v text DEFAULT 'c') INHERITS (parent_table);
INSERT INTO parent_table VALUES (1); INSERT INTO child_table VALUES (2, 'v', 'e');
CREATE TABLE no_columns (); INSERT INTO no_columns DEFAULT VALUES; INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE no_rows (id int PRIMARY KEY);
CREATE UNLOGGED TABLE unlogged (v bytea); INSERT INTO unlogged VALUES ('\x00ff0a5c');
CREATE TABLE only_generated (g int GENERATED ALWAYS AS (1) STORED); INSERT INTO only_generated DEFAULT VALUES;
CREATE TABLE booked (during int4range, EXCLUDE USING gist (during WITH &&)) WITH (fillfactor = 70);
INSERT INTO booked VALUES ('[1,2)'), ('[5,9)');

CREATE VIEW seen WITH (security_barrier) AS SELECT id, "order" FROM "Select" WHERE p > 2 WITH CHECK OPTION;
CREATE VIEW grouped AS SELECT id, "order", count(*) FROM "Select" GROUP BY id;
CREATE RECURSIVE VIEW counted (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counted WHERE n < 5;
CREATE MATERIALIZED VIEW z_first AS SELECT count(*) AS n FROM child;
CREATE MATERIALIZED VIEW a_second AS SELECT n * 2 AS n FROM z_first;
CREATE UNIQUE INDEX ON a_second (n);
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 WITH NO DATA;
CREATE RULE ignored AS ON DELETE TO child DO INSTEAD NOTHING;
CREATE TRIGGER fires BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER always_fires BEFORE INSERT ON child FOR EACH STATEMENT EXECUTE FUNCTION refuse();
ALTER TABLE child ENABLE ALWAYS TRIGGER always_fires;
CREATE TRIGGER disabled BEFORE INSERT ON left_side FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE left_side DISABLE TRIGGER disabled;
CREATE TRIGGER replica BEFORE INSERT ON right_side FOR EACH ROW EXECUTE FUNCTION refuse();
ALTER TABLE right_side ENABLE REPLICA TRIGGER replica;
CREATE CONSTRAINT TRIGGER checks AFTER INSERT ON measure_rest DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER on_parts AFTER INSERT ON hashed FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE FUNCTION refuse_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'an event trigger fired'; END$$;
ALTER TABLE "Select" ENABLE ROW LEVEL SECURITY;
ALTER TABLE child ENABLE ROW LEVEL SECURITY; ALTER TABLE child FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON "Select" FOR SELECT TO clerk USING (p < 10);
GRANT SELECT (id, "order"), UPDATE (p) ON "Select" TO clerk;
GRANT USAGE ON SCHEMA "My Schema" TO clerk WITH GRANT OPTION;
REVOKE ALL ON FUNCTION twice(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION twice(int) TO clerk;
ALTER DEFAULT PRIVILEGES FOR ROLE keeper IN SCHEMA "My Schema" GRANT SELECT ON TABLES TO clerk;
CREATE PUBLICATION news FOR TABLE child, ONLY parent_table;
SELECT lo_from_bytea(4711, '\x00ff' || convert_to(repeat('large ', 1000), 'UTF8'));
SELECT lo_create(4712);
COMMENT ON LARGE OBJECT 4711 IS 'it''s large';
ALTER LARGE OBJECT 4711 OWNER TO keeper;
GRANT SELECT ON LARGE OBJECT 4711 TO clerk;
CREATE EVENT TRIGGER no_ddl ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION refuse_ddl();
