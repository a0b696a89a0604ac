import { MariadbDatabases } from '../../support/mariadb-databases.ts';
import type { Subject } from './subject.ts';

/** A cycle, a key to itself, a key of two columns, partitions, tables that cannot roll back or are kept in memory, a sequence, a view, a trigger that must not fire. */
const SCHEMA = `
CREATE TABLE account (id int PRIMARY KEY, holder int NOT NULL, note text, KEY (holder));
CREATE TABLE holder (id int AUTO_INCREMENT PRIMARY KEY, main int NOT NULL, up int, name varchar(40), UNIQUE KEY (name),
  CONSTRAINT mains FOREIGN KEY (main) REFERENCES account (id), CONSTRAINT ups FOREIGN KEY (up) REFERENCES holder (id));
ALTER TABLE account ADD CONSTRAINT held FOREIGN KEY (holder) REFERENCES holder (id);
CREATE TABLE booking (account int, day date, amount decimal(12, 4), PRIMARY KEY (account, day), KEY (amount),
  CONSTRAINT booked FOREIGN KEY (account) REFERENCES account (id));
CREATE TABLE old (id int, day int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day) (PARTITION a VALUES LESS THAN (100), PARTITION b VALUES LESS THAN MAXVALUE);
CREATE TABLE loose (id int AUTO_INCREMENT PRIMARY KEY, v varchar(40)) ENGINE = MyISAM;
CREATE TABLE kept (id int PRIMARY KEY, v varchar(40)) ENGINE = MEMORY;
CREATE TABLE log (v varchar(10), KEY (v));
CREATE SEQUENCE numbers START WITH 7;
CREATE VIEW sums AS SELECT account % 100 AS part, SUM(amount) AS amount FROM booking GROUP BY 1`;
const ROWS = `;
SET foreign_key_checks = 0;
INSERT INTO account SELECT seq, 1 + seq % 500, REPEAT(MD5(seq), 30) FROM seq_1_to_25000;
INSERT INTO holder (main, up, name) SELECT seq, NULLIF(501 - seq, seq), CONCAT('holder ', seq) FROM seq_1_to_500;
INSERT INTO booking SELECT seq, '2023-12-01' + INTERVAL seq % 60 DAY, seq / 7 FROM seq_1_to_20000;
INSERT INTO old SELECT seq, seq % 200 FROM seq_1_to_5000;
INSERT INTO loose (v) SELECT MD5(seq) FROM seq_1_to_2000;
INSERT INTO kept SELECT seq, MD5(seq) FROM seq_1_to_2000;
INSERT INTO log SELECT 'same' FROM seq_1_to_3000;
SELECT NEXTVAL(numbers);
ANALYZE TABLE account, holder, booking`;
const TRIGGER = `;
CREATE TRIGGER fires BEFORE INSERT ON account FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a trigger fired'`;
/** Without it a sequence is not in the log before the next second, and a server that is killed loses its row. */
const LASTING = ';\nFLUSH LOCAL ENGINE LOGS';

export async function startMariadbSubject(): Promise<Subject> {
  const databases = await MariadbDatabases.start();
  const source = await databases.create(SCHEMA + ROWS + TRIGGER);
  return {
    ...{ server: databases.server, source },
    createEmpty: () => databases.create(),
    createLive: () => databases.create(SCHEMA + TRIGGER + LASTING),
    imageOf: async (url) => {
      const { schema, rows } = await databases.contents(url);
      return new Map([
        ['schema', schema.split('\n')],
        ['rows', rows],
      ]);
    },
    [Symbol.asyncDispose]: () => databases[Symbol.asyncDispose](),
  };
}
