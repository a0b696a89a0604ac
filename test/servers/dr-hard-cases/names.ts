import { type HardCase, hard } from './hard-case.ts';

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A table, its columns, key, index, check, and a schema with a table in it, all with one awkward name, shortened where two must differ. */
function everythingNamed(what: string, name: string): HardCase {
  const own = quoted(name);
  const shortened = (ending: string): string => quoted(`${[...name].slice(0, 12).join('')}${ending}`);
  const schema = shortened('s');
  return hard(
    `${what} as name of everything`,
    `CREATE TABLE ${own} (${own} int CONSTRAINT ${shortened('k')} PRIMARY KEY, other int, CONSTRAINT ${own} CHECK (${own} > 0));
     CREATE TABLE child (${own} int CONSTRAINT ${own} REFERENCES ${own}); CREATE INDEX ${shortened('i')} ON ${own} (other);
     CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.${own} (x int);
     INSERT INTO ${own} VALUES (1, 2); INSERT INTO child VALUES (1); INSERT INTO ${schema}.${own} VALUES (3)`,
    `SELECT count(*) = 1 FROM ${own} JOIN child USING (${own})`,
  );
}

/** Names that break whoever puts SQL, files or messages together. */
export const NAMES: readonly HardCase[] = [
  everythingNamed('mixed case', 'MiXed'),
  everythingNamed('a reserved word', 'select'),
  everythingNamed('blanks at both ends', ' a b '),
  everythingNamed('a dot', 'a.b'),
  everythingNamed('slashes', '../../etc/passwd'),
  everythingNamed('double quotes', 'a"b""c'),
  everythingNamed('a single quote', `it's`),
  everythingNamed('a backslash', 'a\\b\\'),
  everythingNamed('a line feed', 'a\nb'),
  everythingNamed('a tab and a return', 'a\tb\rc'),
  everythingNamed('dollars', '$$a$1$'),
  everythingNamed('percent signs', '%s%I%'),
  everythingNamed('an injection', `x'; DROP TABLE child; --`),
  everythingNamed('a comment', '/* x */ -- y'),
  everythingNamed('emoji', '😀👩‍👩‍👧'),
  everythingNamed('63 bytes of other letters', `${'é'.repeat(31)}x`),
  everythingNamed('letters from right to left', 'שלום'),
  everythingNamed('question marks and colons', ':a ?b @c #d'),
  everythingNamed('braces and commas', '{a,b};(c)[d]'),
  everythingNamed('the alias we use', 't'),
  everythingNamed('an underscore', '_'),
  everythingNamed('digits', '123'),
  hard(
    'names that differ by case',
    'CREATE TABLE foo (x int); CREATE TABLE "Foo" (x int); CREATE TABLE "FOO" (x int); INSERT INTO foo VALUES (1); INSERT INTO "Foo" VALUES (2), (2); INSERT INTO "FOO" VALUES (3), (3), (3)',
    'SELECT count(*) = 2 FROM "Foo"',
  ),
  hard(
    'names that are equal when they are joined by a dot',
    'CREATE SCHEMA j; CREATE SCHEMA "j.k"; CREATE TABLE j."k.l" (id serial, x int); CREATE TABLE "j.k".l (id serial, y text); INSERT INTO j."k.l" (x) VALUES (1), (2); INSERT INTO "j.k".l (y) VALUES (\'one\')',
    'SELECT count(*) = 2 FROM j."k.l"',
  ),
  hard(
    'names of system columns in other case',
    'CREATE TABLE a ("CTID" int, "Oid" int, "tableOid" int); INSERT INTO a VALUES (1, 2, 3)',
  ),
  hard(
    'columns named like their table',
    'CREATE TABLE a (a int, "a.a" int, t int, "t.t" int, row int, "*" int); INSERT INTO a VALUES (1, 2, 3, 4, 5, 6)',
    'SELECT "t.t" = 4 FROM a',
  ),
  hard(
    'one name in two schemas',
    "CREATE SCHEMA twin_one; CREATE SCHEMA twin_two; CREATE TABLE twin_one.a (x int PRIMARY KEY); CREATE TABLE twin_two.a (x text PRIMARY KEY); INSERT INTO twin_one.a VALUES (1); INSERT INTO twin_two.a VALUES ('one'), ('two')",
    'SELECT count(*) = 2 FROM twin_two.a',
  ),
  hard(
    'constraints, triggers, rules and policies with quotes',
    `CREATE TABLE a (x int CONSTRAINT "c ""'" CHECK (x > 0)); CREATE FUNCTION "f ""'"() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER "t ""'" BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION "f ""'"(); CREATE RULE "r ""'" AS ON DELETE TO a DO INSTEAD NOTHING; CREATE POLICY "p ""'" ON a USING (true); INSERT INTO a VALUES (1)`,
  ),
  hard(
    'a type, a domain and a function with dots',
    'CREATE TYPE "t.y" AS ENUM (\'a\'); CREATE DOMAIN "d.o" AS "t.y"; CREATE FUNCTION "f.u"("p.q" "t.y") RETURNS "d.o" LANGUAGE sql AS \'SELECT $1\'; CREATE TABLE a (x "d.o" DEFAULT "f.u"(\'a\')); INSERT INTO a DEFAULT VALUES',
    `SELECT x::text = 'a' FROM a`,
  ),
  hard(
    'an owner and a grantee with quotes',
    `CREATE ROLE "it's ""me"""; CREATE TABLE a (x int); GRANT SELECT (x) ON a TO "it's ""me"""; ALTER TABLE a OWNER TO "it's ""me"""; INSERT INTO a VALUES (1)`,
    `SELECT tableowner = 'it''s "me"' FROM pg_tables WHERE schemaname = current_schema()`,
  ),
];
