import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { testKilledRestores } from '../support/killed-restores.ts';
import { MariadbDatabases } from '../support/mariadb-databases.ts';
import { describeWith } from '../support/servers/describe-with.ts';

const EVERYTHING = readFileSync(join(import.meta.dirname, '../support/sql/everything-mariadb.sql'), 'utf8');
/** Several chunks a table, a cycle, a table that cannot roll back, triggers. */
const SCHEMA = `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL, v text, KEY (b));
  CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL, CONSTRAINT forth FOREIGN KEY (a) REFERENCES a (id));
  ALTER TABLE a ADD CONSTRAINT back FOREIGN KEY (b) REFERENCES b (id);
  CREATE TABLE loose (id int) ENGINE = MyISAM;`;
const ROWS = `SET foreign_key_checks = 0;
  INSERT INTO a SELECT seq, seq, REPEAT('x', 500) FROM seq_1_to_60000;
  INSERT INTO b SELECT seq, seq FROM seq_1_to_60000;
  INSERT INTO loose VALUES (1), (1), (2);
  ANALYZE TABLE a, b;`;
const TRIGGER = `CREATE TRIGGER second BEFORE INSERT ON a FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'fired';
  CREATE TRIGGER first BEFORE INSERT ON a FOR EACH ROW PRECEDES second SET NEW.v = 'fired';`;

describeWith('mariadb', 'a restore of MariaDB that is killed', ({ killable }) => {
  testKilledRestores({
    start: () => MariadbDatabases.start(),
    everything: EVERYTHING,
    live: { schema: SCHEMA, rows: ROWS, trigger: TRIGGER },
    killable,
    failpoints: [
      ['full', 'restore.afterObject', [1, 4, 16, 20, 24]],
      ['data', 'restore.afterObject', [1]],
      ['full', 'restore.beforeCommit', [1, 3, 6, 8]],
      ['full', 'restore.afterCommit', [1, 3, 8]],
      ['full', 'restore.afterChunk', [1, 6]],
      ['data', 'restore.afterChunk', [1, 3, 4]],
      ['data', 'restore.beforeCommit', [2, 4]],
    ],
  });
});
