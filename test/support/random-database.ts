import fc from 'fast-check';

/** `text` as a string constant of PostgreSQL. */
function literal(text: string): string {
  return ` E'${text.replaceAll('\0', '').replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

const TEXT = fc.string({ unit: 'binary', maxLength: 30 }).map(literal);
const NUMBER_TEXT = fc.stringMatching(/^-?[0-9]{1,30}(\.[0-9]{1,30})?(e-?[0-9]{1,2})?$/).map((text) => `'${text}'`);
const INSTANT = fc
  .date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true })
  .map((date) => `'${date.toISOString()}'`);

/** Values of each type, as SQL. */
const TYPES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  text: TEXT,
  'varchar(40)': TEXT,
  int: fc.integer().map((n) => `'${n}'`),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => `'${n}'`),
  numeric: fc.oneof(NUMBER_TEXT, fc.constantFrom(`'NaN'`, `'Infinity'`)),
  float8: fc.double().map((n) => `'${Object.is(n, -0) ? '-0' : n}'`),
  real: fc.float().map((n) => `'${Object.is(n, -0) ? '-0' : n}'`),
  bool: fc.boolean().map((value) => `'${value}'`),
  bytea: fc.uint8Array({ maxLength: 40 }).map((bytes) => ` '\\x${Buffer.from(bytes).toString('hex')}'`),
  timestamptz: INSTANT,
  date: INSTANT.map((text) => `${text.slice(0, 11)}'`),
  interval: fc.integer({ min: -1e9, max: 1e9 }).map((n) => `'${n} seconds ${n % 77} days'`),
  uuid: fc.uuid().map((id) => `'${id}'`),
  jsonb: fc
    .json({ maxDepth: 2, noUnicodeString: true } as never)
    .map((text) => literal(text.replaceAll('\\u0000', ''))),
  json: fc.json({ maxDepth: 2 }).map(literal),
  'text[]': fc.array(TEXT, { maxLength: 4 }).map((items) => `ARRAY[${items.join(',')}]::text[]`),
  'int[]': fc.array(fc.integer(), { maxLength: 4 }).map((items) => `'{${items.join(',')}}'`),
  mood: fc.constantFrom(`'sad'`, ` 'o''k'`, `'hap"py'`),
  positive: fc.nat().map((n) => `'${n + 1}'`),
  pair: fc.tuple(fc.integer(), TEXT).map(([n, text]) => `ROW(${n}, ${text})::pair`),
  int4range: fc.tuple(fc.nat(100), fc.nat(100)).map(([a, b]) => `'[${a},${a + b})'`),
  inet: fc.ipV4().map((ip) => `'${ip}'`),
};
const BEFORE = `CREATE TYPE mood AS ENUM ('sad', 'o''k', 'hap"py'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;`;

const COLUMN = fc.constantFrom(...Object.keys(TYPES)).chain((type) =>
  fc.record({
    type: fc.constant(type),
    values: fc.array(fc.option(TYPES[type]!, { freq: 5, nil: 'NULL' }), { minLength: 1, maxLength: 6 }),
  }),
);
const PARTITIONING = fc.constantFrom('none', 'none', 'none', 'range', 'list', 'hash', 'mood');
const TABLE = fc.record({
  name: fc.oneof(fc.constant(''), fc.string({ unit: 'binary', minLength: 1, maxLength: 8 })),
  columns: fc.array(COLUMN, { maxLength: 5 }),
  rows: fc.nat(40),
  key: fc.constantFrom('none', 'simple', 'composite'),
  partitioning: PARTITIONING,
  generated: fc.boolean(),
  identity: fc.constantFrom('none', 'ALWAYS', 'BY DEFAULT'),
  index: fc.boolean(),
  trigger: fc.boolean(),
  view: fc.boolean(),
});
type Table = typeof TABLE extends fc.Arbitrary<infer T> ? T : never;
const KEY = fc.record({
  child: fc.nat(),
  parent: fc.nat(),
  isNull: fc.boolean(),
  deferrable: fc.constantFrom('', 'DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED'),
  action: fc.constantFrom('', 'ON DELETE CASCADE', 'ON UPDATE SET NULL'),
});
type Key = typeof KEY extends fc.Arbitrary<infer T> ? T : never;

/** Statements that make a database: types by constraints by keys of any shape, cycles and self references among them, with rows. */
export const randomDatabase: fc.Arbitrary<string> = fc
  .tuple(fc.array(TABLE, { minLength: 1, maxLength: 6 }), fc.array(KEY, { maxLength: 8 }))
  .map(([tables, keys]) =>
    [
      BEFORE,
      ...tables.flatMap(tableStatements),
      ...keys.flatMap((key, n) => keyStatements(tables, key, n)),
      ...tables.flatMap(laterStatements),
    ].join(';\n'),
  );

/** Numbers keep names apart whatever they begin with. */
function nameOf(table: Table, index: number): string {
  return `"${table.name.replaceAll('\0', '').replaceAll('"', '""')}${index}"`;
}

function tableStatements(table: Table, index: number): string[] {
  const name = nameOf(table, index);
  const columns = [
    // Neither NULL nor equal: what keys refer to.
    ...['id int NOT NULL', 'k int NOT NULL', `m mood NOT NULL DEFAULT 'sad'`],
    ...table.columns.map(({ type }, n) => `c${n} ${type}`),
    ...(table.generated ? ['g text GENERATED ALWAYS AS (id::text || k::text) STORED'] : []),
    ...(table.identity === 'none' || table.partitioning !== 'none'
      ? []
      : [`i bigint GENERATED ${table.identity} AS IDENTITY (START ${index + 5} INCREMENT 3)`]),
  ];
  const rows = Array.from({ length: table.rows }, (_, row) => {
    const values = table.columns.map(({ values }) => values[row % values.length]);
    return `(${[row + 1, row % 3, [`'sad'`, ` 'o''k'`, `'hap"py'`][row % 3], ...values].join(', ')})`;
  });
  const written = ['id', 'k', 'm', ...table.columns.map((_, n) => `c${n}`)].join(', ');
  return [
    `CREATE TABLE ${name} (${columns.join(', ')})${PARTITIONED[table.partitioning]?.by ?? ''}`,
    ...(PARTITIONED[table.partitioning]?.parts ?? []).map(
      (bound, n) => `CREATE TABLE part_${index}_${n} PARTITION OF ${name} ${bound}`,
    ),
    ...(rows.length === 0 ? [] : [`INSERT INTO ${name} (${written}) VALUES ${rows.join(', ')}`]),
    ...primaryKey(table, name),
  ];
}

const HASHED = [0, 1].map((remainder) => `FOR VALUES WITH (MODULUS 2, REMAINDER ${remainder})`);
const PARTITIONED: Readonly<Record<string, { readonly by: string; readonly parts: readonly string[] }>> = {
  range: { by: ' PARTITION BY RANGE (id)', parts: ['FOR VALUES FROM (MINVALUE) TO (10)', 'DEFAULT'] },
  list: { by: ' PARTITION BY LIST (k)', parts: ['FOR VALUES IN (0, 1)', 'FOR VALUES IN (2)'] },
  hash: { by: ' PARTITION BY HASH (id)', parts: HASHED },
  mood: { by: ' PARTITION BY HASH (m)', parts: HASHED },
};

/** The columns that keys refer to; none where there is no key that a partitioned table can have. */
function referenced({ key, partitioning }: Table): readonly string[] {
  const needed: Readonly<Record<string, string>> = { list: 'k', mood: 'm' };
  const columns = key === 'none' ? [] : key === 'simple' ? ['id'] : ['id', 'k'];
  const column = needed[partitioning];
  return columns.length === 0 || column === undefined || columns.includes(column) ? columns : [...columns, column];
}

function primaryKey(table: Table, name: string): string[] {
  const columns = referenced(table);
  return columns.length === 0 ? [] : [`ALTER TABLE ${name} ADD PRIMARY KEY (${columns.join(', ')})`];
}

/** A key between two of the tables, or of one to itself, with rows that refer to one another all over. */
function keyStatements(tables: readonly Table[], key: Key, n: number): string[] {
  const [childAt, parentAt] = [key.child % tables.length, key.parent % tables.length];
  const [child, parent] = [tables[childAt] as Table, tables[parentAt] as Table];
  const columns = referenced(parent);
  if (columns.length === 0) return [];
  const [from, to] = [nameOf(child, childAt), nameOf(parent, parentAt)];
  const types: Readonly<Record<string, string>> = { id: 'int', k: 'int', m: 'mood' };
  const own = columns.map((column) => `f${n}_${column}`);
  const isEmpty = parent.rows === 0;
  const set = `UPDATE ${from} c SET (${own.join(', ')}) = ROW(${columns.map((column) => `p.${column}`).join(', ')}) FROM ${to} p
    WHERE p.id = 1 + (c.id * 7 + ${n}) % ${Math.max(parent.rows, 1)}`;
  return [
    `ALTER TABLE ${from} ${own.map((column, at) => `ADD ${column} ${types[columns[at] as string]}`).join(', ')}`,
    ...(isEmpty ? [] : [set, 'SET CONSTRAINTS ALL IMMEDIATE']),
    ...(key.isNull || isEmpty ? [] : own.map((column) => `ALTER TABLE ${from} ALTER ${column} SET NOT NULL`)),
    `ALTER TABLE ${from} ADD CONSTRAINT key_${n} FOREIGN KEY (${own.join(', ')}) REFERENCES ${to} (${columns.join(', ')}) ${key.action} ${key.deferrable}`,
  ];
}

function laterStatements(table: Table, index: number): string[] {
  const name = nameOf(table, index);
  return [
    ...(table.index ? [`CREATE INDEX ON ${name} (k DESC, id) WHERE k > 0`] : []),
    ...(table.view ? [`CREATE MATERIALIZED VIEW view_${index} AS SELECT k, count(*) FROM ${name} GROUP BY k`] : []),
    ...(table.trigger ? [`CREATE TRIGGER fires BEFORE INSERT ON ${name} FOR EACH ROW EXECUTE FUNCTION refuse()`] : []),
  ];
}
