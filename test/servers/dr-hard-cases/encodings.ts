import { type HardCase, hard } from './hard-case.ts';

/** Text of a database that is not in UTF-8. */
export const LATIN1: readonly HardCase[] = [
  hard(
    'every letter of Latin 1',
    `CREATE TABLE a (x text); INSERT INTO a SELECT chr(n) FROM generate_series(1, 255) n`,
    'SELECT count(*) = 255 AND max(octet_length(x)) = 1 FROM a',
  ),
  hard(
    'names, labels and comments in Latin 1',
    `CREATE TABLE "Größe" ("é" int); CREATE TYPE "Ä" AS ENUM ('ö'); COMMENT ON TABLE "Größe" IS 'ß'; ALTER TABLE "Größe" ADD x "Ä"; INSERT INTO "Größe" VALUES (1, 'ö')`,
    `SELECT x = 'ö' FROM "Größe"`,
  ),
];

/** Bytes of a database that has no encoding. */
export const SQL_ASCII: readonly HardCase[] = [
  hard(
    'bytes that are no text in any encoding',
    `CREATE TABLE a (x text, y char(3), z text[]); INSERT INTO a VALUES (E'\\xff\\xfe\\x80', E'\\xe9', ARRAY[E'\\xc3', E'"\\xa9'])`,
    `SELECT encode(x::bytea, 'hex') FROM a`,
    'fffe80',
  ),
];
