import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testKilledRestores } from '../support/killed-restores.ts';
import { PostgresDatabases } from '../support/postgres-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything.sql'), 'utf8');
/** Several chunks a table, a cycle, a trigger. */
const SCHEMA = `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL, v text);
  CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a);
  ALTER TABLE a ADD CONSTRAINT back FOREIGN KEY (b) REFERENCES b;
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;`;
const ROWS = `ALTER TABLE a DROP CONSTRAINT back;
  INSERT INTO a SELECT n, n, repeat('x', 500) FROM generate_series(1, 60000) n;
  INSERT INTO b SELECT n, n FROM generate_series(1, 60000) n;
  ALTER TABLE a ADD CONSTRAINT back FOREIGN KEY (b) REFERENCES b;`;
const TRIGGER = 'CREATE TRIGGER fires BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION refuse();';

describeWith('postgres', 'a restore of PostgreSQL that is killed', ({ killable }) => {
  testKilledRestores({
    start: () => PostgresDatabases.start({ args: ['-c', 'max_connections=40'] }),
    everything: EVERYTHING,
    live: { schema: SCHEMA, rows: ROWS, trigger: TRIGGER },
    killable,
    failpoints: [
      ['full', 'restore.beforeCommit', [1, 2, 5, 9, 12]],
      ['full', 'restore.afterCommit', [1, 3, 8, 12]],
      ['full', 'restore.afterChunk', [1, 4, 12]],
      ['data', 'restore.afterChunk', [1, 3]],
      ['data', 'restore.beforeCommit', [2, 4]],
    ],
  });
});
