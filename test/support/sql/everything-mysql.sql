SET NAMES utf8mb4;
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', foreign_key_checks = 0;
ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci;
CREATE TABLE hard (
  id int AUTO_INCREMENT PRIMARY KEY, latin varchar(20) CHARACTER SET latin1, member enum('ä','b') CHARACTER SET latin1,
  holed enum('a','','b'), members set('x','ü','z') CHARACTER SET utf8mb4, b1 bit(1), b10 bit(10), b64 bit(64),
  shape geometry, place point NOT NULL SRID 4326, many geometrycollection, doc json, f float, d double, fd float(9,4), number decimal(65,30),
  big bigint unsigned, at datetime(6), stamp timestamp(6) NULL, span time(6), y year, fixed binary(5), bytes varbinary(20), large longblob,
  sj varchar(10) CHARACTER SET sjis, wide varchar(10) CHARACTER SET utf16, ch varchar(10) CHARACTER SET gbk, gb varchar(10) CHARACTER SET gb18030,
  padded char(10), modern varchar(20) COLLATE utf8mb4_0900_as_cs,
  hidden int DEFAULT 7 /*!80023 INVISIBLE */, made int GENERATED ALWAYS AS (hidden + 1) STORED, virt int GENERATED ALWAYS AS (hidden * 2) VIRTUAL,
  day date, filled int(8) ZEROFILL, emoji text CHARACTER SET utf8mb4, told varchar(40) DEFAULT (CONCAT('é, (', 1 + 1, ')')),
  uid binary(16) DEFAULT (X'00'), changed datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  SPATIAL KEY (place), CONSTRAINT sane CHECK (hidden <> 12345), CONSTRAINT lax CHECK (hidden < 0) NOT ENFORCED,
  KEY functional ((lower(modern)), (hidden + 1) DESC), KEY unseen (day) INVISIBLE, KEY falling (day DESC, y)
) COMMENT 'it''s hard, (very)';
INSERT INTO hard (id, latin, member, holed, members, b1, b10, b64, shape, place, many, doc, f, d, fd, number, big, at, stamp, span, y, fixed, bytes, large, sj, wide, ch, gb, padded, modern, hidden, day, filled, emoji, told, changed) VALUES
  (0, 'é\\\t\n\r', 'ä', 'a', 'x,ü', 1, b'1010101010', 0xffffffffffffffff,
   ST_GeomFromText('LINESTRING(1 2,3 4)', 4326), ST_SRID(POINT(100, 20), 4326), ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'),
   '{"a":1.10, "ü": [18446744073709551615, -1, 1e300, 1.0, null, true, "\\u0000\\n\\t\\\\"], "long": {"": {}}}', 0.1, 0.1, 1.2345, 1.234567890123456789, 18446744073709551615,
   '2024-00-00 00:00:00', '1970-01-01 00:00:01.000001', '-838:59:59.000000', 0, 0x0001ff0a00, 0x5c6e09, 0x001a0d0a5c275c30, 'ソ', 'x', '誠', '𠀀', 'x  ', 'ÀB', 9, '2024-02-31', 5, '😀', 'é', '2001-01-01 01:01:01.001'),
  (-5, '', '', '', '', 0, 0, 0, NULL, ST_SRID(POINT(1, 2), 4326), NULL, 'null', 16777217, -0.0, 0, 0, 0, '0000-00-00', NULL, '0:0:0', 2155, '', '', '', '', '', '', '', '', '', NULL, '0000-00-00', 0, '', NULL, NULL),
  (7, '\\N', 'b', 'b', 'z', NULL, NULL, NULL, NULL, ST_SRID(POINT(0, 0), 4326), NULL, '[]', 1e38, 1.7e308, NULL, NULL, NULL, NULL, '2038-01-19 03:14:07.999999', NULL, 1901,
   NULL, NULL, REPEAT(0x00095c0a, 70000), NULL, NULL, NULL, NULL, NULL, NULL, 1, NULL, NULL, ''';"--', '', NULL);
INSERT INTO hard (id, latin, member, holed, place, f, d) VALUES (8, 'nobody', '', 0, ST_SRID(POINT(0, 0), 4326), 0.3333333, 5e-324);
INSERT INTO hard (id, place, doc) VALUES (9, ST_SRID(POINT(0, 0), 4326), JSON_ARRAY(0.1, 3.0e0, 7, 'x', JSON_OBJECT('k', REPEAT('long ', 20000))));
ALTER TABLE hard AUTO_INCREMENT = 1000;
CREATE TABLE tagged (id int PRIMARY KEY, doc json, KEY tags ((CAST(doc -> '$.tags' AS unsigned ARRAY))), KEY names ((CAST(doc ->> '$.name' AS char(20)))));
INSERT INTO tagged VALUES (1, '{"tags": [1, 2, 3], "name": "one"}'), (2, '{"tags": []}'), (3, NULL);
CREATE TABLE `odd ``name``, (or "so")` (`a,b` int, `c``d` varchar(5) DEFAULT ',)''', KEY `k,1` (`a,b`));
INSERT INTO `odd ``name``, (or "so")` VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
CREATE TABLE house (id int PRIMARY KEY, owner int, KEY (owner), CONSTRAINT owned FOREIGN KEY (owner) REFERENCES person (id));
CREATE TABLE person (id int AUTO_INCREMENT, lives_in int, mother int, name varchar(100), PRIMARY KEY (name), UNIQUE KEY (id), FULLTEXT KEY (name) WITH PARSER ngram,
  CONSTRAINT housed FOREIGN KEY (lives_in) REFERENCES house (id) ON DELETE CASCADE, CONSTRAINT born FOREIGN KEY (mother) REFERENCES person (id));
INSERT INTO house WITH RECURSIVE seq (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM seq WHERE seq < 200) SELECT seq, seq FROM seq;
INSERT INTO person (id, lives_in, mother, name) SELECT id, id, NULLIF(201 - id, id), CONCAT('person ', id) FROM house;
CREATE TABLE parts (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE COLUMNS (day) SUBPARTITION BY HASH (id) SUBPARTITIONS 2
  (PARTITION old VALUES LESS THAN ('2024-01-01') COMMENT = 'it''s, old)', PARTITION new VALUES LESS THAN (MAXVALUE));
INSERT INTO parts SELECT id, DATE_ADD('2023-12-01', INTERVAL id DAY) FROM house WHERE id <= 60;
CREATE TABLE packed (id int PRIMARY KEY, v text) ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8;
INSERT INTO packed VALUES (1, 'squeezed');
CREATE TABLE isam (id int AUTO_INCREMENT PRIMARY KEY, v text, FULLTEXT KEY (v)) ENGINE = MyISAM;
INSERT INTO isam (v) VALUES ('one'), ('two');
CREATE TABLE nothing (id int);
CREATE TABLE computed (a int AS (1) VIRTUAL);
INSERT INTO computed VALUES (), ();
SET sql_generate_invisible_primary_key = 1;
CREATE TABLE keyed_by_server (v int);
INSERT INTO keyed_by_server VALUES (1), (1);
SET sql_generate_invisible_primary_key = 0;
CREATE FUNCTION shout(x varchar(100)) RETURNS varchar(200) DETERMINISTIC RETURN x;
CREATE VIEW late AS SELECT id, shout(name) AS name FROM person WHERE name <> '`another`.x';
CREATE VIEW early AS SELECT * FROM late JOIN (SELECT 1 AS one) o;
CREATE VIEW stacked AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 3) SELECT n.n, l.name, RANK() OVER w AS place FROM n JOIN late l WINDOW w AS (ORDER BY l.name);
CREATE VIEW lateral_view AS SELECT h.id, x.m FROM house h, LATERAL (SELECT MAX(p.id) AS m FROM person p WHERE p.lives_in = h.id) x;
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
