SET NAMES utf8mb4;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', foreign_key_checks = 0;
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci;
CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3;
SELECT NEXTVAL(numbers);
CREATE TABLE hard (
  id int AUTO_INCREMENT PRIMARY KEY, latin varchar(20) CHARACTER SET latin1, member enum('ä','b') CHARACTER SET latin1,
  holed enum('a','','b'), members set('x','ü','z') CHARACTER SET utf8mb4, b1 bit(1), b10 bit(10), b64 bit(64), u uuid, i6 inet6, i4 inet4,
  shape geometry, place point NOT NULL, doc json, f float, d double, fd float(9,4), number decimal(65,30), big bigint unsigned,
  at datetime(6), stamp timestamp(6) NULL, span time(6), y year, fixed binary(5), bytes varbinary(20), large longblob,
  sj varchar(10) CHARACTER SET sjis, wide varchar(10) CHARACTER SET utf16, ch varchar(10) CHARACTER SET gbk, padded char(10),
  hidden int INVISIBLE DEFAULT 7, made int GENERATED ALWAYS AS (hidden + 1) STORED, virt int GENERATED ALWAYS AS (hidden * 2) VIRTUAL,
  day date, filled int(8) ZEROFILL, emoji text CHARACTER SET utf8mb4, SPATIAL KEY (place), CHECK (hidden <> 12345)
) COMMENT 'it''s hard, (very)';
INSERT INTO hard (id, latin, member, holed, members, b1, b10, b64, u, i6, i4, shape, place, doc, f, d, fd, number, big, at, stamp, span, y, fixed, bytes, large, sj, wide, ch, padded, hidden, day, filled, emoji) VALUES
  (0, 'é\\\t\n\r', 'ä', 'a', 'x,ü', 1, b'1010101010', 0xffffffffffffffff, '550e8400-e29b-41d4-a716-446655440000', '::1', '1.2.3.4',
   ST_GeomFromText('LINESTRING(1 2,3 4)', 4326), POINT(1, 2), '{"a":1.10}', 0.1, 0.1, 1.2345, 1.234567890123456789, 18446744073709551615,
   '2024-00-00 00:00:00', '1970-01-01 00:00:01.000001', '-838:59:59.999999', 0, 0x0001ff0a00, 0x5c6e09, 0x001a0d0a5c275c30, 'ソ', 'x', '誠', 'x  ', 9, '2024-02-31', 5, '😀'),
  (-5, '', '', '', '', 0, 0, 0, NULL, NULL, NULL, NULL, POINT(1, 2), NULL, 16777217, -0.0, 0, 0, 0, '0000-00-00', NULL, '0:0:0', 2155, '', '', '', '', '', '', '', NULL, '0000-00-00', 0, ''),
  (7, '\\N', 'b', 'b', 'z', NULL, NULL, NULL, NULL, NULL, NULL, NULL, POINT(0, 0), '[]', 1e38, 1.7e308, NULL, NULL, NULL, NULL, '2038-01-19 03:14:07.999999', NULL, 1901,
   NULL, NULL, REPEAT(0x00095c0a, 70000), NULL, NULL, NULL, NULL, NULL, NULL, NULL, '''";--'),
  (8, 'nobody', 'nobody', 0, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, POINT(0, 0), NULL, 0.3333333, 5e-324, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
ALTER TABLE hard AUTO_INCREMENT = 1000;
CREATE TABLE `odd ``name``, (or "so")` (`a,b` int, `c``d` varchar(5) DEFAULT ',)''', KEY `k,1` (`a,b`));
INSERT INTO `odd ``name``, (or "so")` VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
CREATE TABLE numbered (id bigint DEFAULT NEXTVAL(numbers) PRIMARY KEY, v int);
INSERT INTO numbered (v) VALUES (1), (2);
CREATE TABLE house (id int PRIMARY KEY, owner int, KEY (owner), CONSTRAINT owned FOREIGN KEY (owner) REFERENCES person (id));
CREATE TABLE person (id int AUTO_INCREMENT, lives_in int, mother int, name varchar(100), PRIMARY KEY (name), KEY (id), FULLTEXT KEY (name),
  CONSTRAINT housed FOREIGN KEY (lives_in) REFERENCES house (id) ON DELETE CASCADE, CONSTRAINT born FOREIGN KEY (mother) REFERENCES person (id));
INSERT INTO house SELECT seq, seq FROM seq_1_to_200;
INSERT INTO person (id, lives_in, mother, name) SELECT seq, seq, NULLIF(201 - seq, seq), CONCAT('person ', seq) FROM seq_1_to_200;
CREATE TABLE parts (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE COLUMNS (day)
  (PARTITION old VALUES LESS THAN ('2024-01-01'), PARTITION new VALUES LESS THAN (MAXVALUE));
INSERT INTO parts SELECT seq, DATE_ADD('2023-12-01', INTERVAL seq DAY) FROM seq_1_to_60;
CREATE TABLE history (id int PRIMARY KEY, v int) WITH SYSTEM VERSIONING;
INSERT INTO history VALUES (1, 1), (2, 1);
UPDATE history SET v = 2 WHERE id = 1;
DELETE FROM history WHERE id = 2;
CREATE TABLE spans (id int PRIMARY KEY, begun timestamp(6) GENERATED ALWAYS AS ROW START, ended timestamp(6) GENERATED ALWAYS AS ROW END,
  PERIOD FOR SYSTEM_TIME (begun, ended)) WITH SYSTEM VERSIONING;
INSERT INTO spans (id) VALUES (1), (2);
DELETE FROM spans WHERE id = 1;
CREATE TABLE isam (id int AUTO_INCREMENT PRIMARY KEY, v text, FULLTEXT KEY (v)) ENGINE = MyISAM;
INSERT INTO isam (v) VALUES ('one'), ('two');
CREATE TABLE aria (id int PRIMARY KEY) ENGINE = Aria;
INSERT INTO aria VALUES (1);
CREATE TABLE nothing (id int);
CREATE TABLE computed (a int AS (1) VIRTUAL);
INSERT INTO computed VALUES (), ();
CREATE FUNCTION shout(x varchar(100)) RETURNS varchar(200) DETERMINISTIC RETURN x;
CREATE VIEW late AS SELECT id, shout(name) AS name FROM person WHERE name <> '`another`.x';
CREATE VIEW early AS SELECT * FROM late JOIN (SELECT 1 AS one) o;
SET sql_mode = 'ANSI_QUOTES';
DROP FUNCTION shout;
CREATE FUNCTION shout(x varchar(100)) RETURNS varchar(200) CHARACTER SET latin1 DETERMINISTIC RETURN CONCAT(x, "x", '!é');
SET sql_mode = '', NAMES latin1;
CREATE PROCEDURE accent() SELECT 'é', 'it''s';
SET NAMES utf8mb4;
CREATE TRIGGER first_trigger BEFORE INSERT ON person FOR EACH ROW SET NEW.name = CONCAT('fired ', NEW.name);
CREATE TRIGGER before_it BEFORE INSERT ON person FOR EACH ROW PRECEDES first_trigger BEGIN IF NEW.id < 0 THEN SET NEW.id = 0; END IF; END;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY STARTS '2020-01-01 03:00:00' COMMENT 'at night' DO DELETE FROM nothing;
CREATE EVENT never ON SCHEDULE EVERY 1 HOUR DISABLE DO DELETE FROM nothing;
