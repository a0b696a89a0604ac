import { PostgresDatabases } from '../../support/postgres-databases.ts';
import { copySchema, imageOf } from '../../support/postgres-image.ts';
import type { Subject } from './subject.ts';

/** Several chunks of a table, a cycle, a key to itself, partitions, unlogged tables, a sequence, a trigger that must not fire, contents that follow from others. */
const SOURCE = `
CREATE TABLE account (id int PRIMARY KEY, holder int NOT NULL, note text) WITH (autovacuum_enabled = false);
CREATE TABLE holder (id serial PRIMARY KEY, main int NOT NULL, up int REFERENCES holder, name text UNIQUE);
CREATE TABLE booking (id int, day date, account int NOT NULL, amount numeric, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE booking_old PARTITION OF booking FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE booking_new PARTITION OF booking DEFAULT;
CREATE TABLE log (v text);
CREATE UNLOGGED TABLE cache (id int PRIMARY KEY, up int REFERENCES cache, v text);
CREATE UNLOGGED TABLE cached (cache int REFERENCES cache, v text);
INSERT INTO cache SELECT n, 2001 - n, repeat('c', 1000) FROM generate_series(1, 2000) n;
INSERT INTO cached SELECT id, v FROM cache ORDER BY id DESC;
INSERT INTO account SELECT n, 1 + n % 500, repeat(md5(n::text), 30) FROM generate_series(1, 25000) n;
INSERT INTO holder (main, up, name) SELECT n, nullif(501 - n, n), 'holder ' || n FROM generate_series(1, 500) n;
INSERT INTO booking SELECT n, date '2023-12-01' + n % 60, 1 + n % 25000, n / 7.0 FROM generate_series(1, 20000) n;
INSERT INTO log SELECT 'same' FROM generate_series(1, 3000);
ALTER TABLE account ADD CONSTRAINT held FOREIGN KEY (holder) REFERENCES holder;
ALTER TABLE holder ADD CONSTRAINT mains FOREIGN KEY (main) REFERENCES account;
ALTER TABLE booking ADD FOREIGN KEY (account) REFERENCES account;
CREATE INDEX ON account (note); CREATE INDEX ON booking (amount); CREATE INDEX ON log (v);
CREATE MATERIALIZED VIEW sums AS SELECT account % 100 AS part, sum(amount) FROM booking GROUP BY 1;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;
CREATE TRIGGER fires BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER fires BEFORE INSERT ON booking FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER fires BEFORE INSERT ON cache FOR EACH ROW EXECUTE FUNCTION refuse();`;

export async function startPostgresSubject(): Promise<Subject> {
  // A page is written in parts, and the server is killed in between.
  const databases = await PostgresDatabases.start({ args: ['-c', 'max_connections=40', '-c', 'full_page_writes=on'] });
  const source = await databases.create(SOURCE);
  return {
    ...{ server: databases.server, source },
    createEmpty: () => databases.create(),
    createLive: async () => {
      const target = await databases.create();
      copySchema(source, target);
      return target;
    },
    imageOf: (url) => imageOf(databases, url),
    [Symbol.asyncDispose]: () => databases[Symbol.asyncDispose](),
  };
}
