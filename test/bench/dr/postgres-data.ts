const TENANTS = 200;

/**
 * Statements that fill an empty PostgreSQL database with tenants of very different size, about `bytes` in all (heap and indexes): one
 * table has three fifths of them; a table refers to itself, two refer to each other; keys of several columns; many types. The
 * same size gives the same rows.
 */
export function postgresTenants(bytes: number): string[] {
  const scale = bytes / 1e9;
  const rows = (perGigabyte: number): number => Math.max(10, Math.round(perGigabyte * scale));
  const [employees, orders, tasks, events] = [rows(60_000), rows(330_000), rows(200_000), rows(1_900_000)];
  return [
    `CREATE FUNCTION pick(i bigint, salt int, n int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
       AS $$ SELECT abs(hashint8(i * 31 + salt)::bigint)::int % n $$`,
    // Squared, so that the first tenants have most of everything.
    `CREATE FUNCTION tenant(i bigint) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
       AS $$ SELECT 1 + (power(pick(i, 1, 1000000) / 1000000.0, 3) * ${TENANTS})::int % ${TENANTS} $$`,
    `CREATE TYPE state AS ENUM ('open', 'waiting', 'done')`,
    `CREATE TABLE tenants (id int PRIMARY KEY, key uuid NOT NULL UNIQUE, name text NOT NULL, settings jsonb NOT NULL)`,
    `INSERT INTO tenants SELECT i, md5(i::text)::uuid, 'Tenant ' || i, jsonb_build_object('plan', i % 4, 'limits', jsonb_build_array(i, i * 10))
       FROM generate_series(1, ${TENANTS}) i`,
    `CREATE TABLE departments (tenant int NOT NULL REFERENCES tenants, id int NOT NULL, name text NOT NULL, head int, PRIMARY KEY (tenant, id))`,
    `INSERT INTO departments SELECT t, d, 'Department ' || d, NULL FROM generate_series(1, ${TENANTS}) t, generate_series(1, 20) d`,
    `CREATE TABLE employees (tenant int NOT NULL, id int NOT NULL, department int NOT NULL, name text NOT NULL, email text NOT NULL,
       salary numeric(12, 2) NOT NULL, since date NOT NULL, PRIMARY KEY (tenant, id),
       FOREIGN KEY (tenant, department) REFERENCES departments)`,
    `INSERT INTO employees SELECT tenant(i), i, 1 + pick(i, 2, 20), 'Person ' || md5(i::text), i || '@example.org', pick(i, 3, 900000) / 7.0,
       date '2000-01-01' + pick(i, 4, 9000) FROM generate_series(1, ${employees}) i`,
    `UPDATE departments d SET head = (SELECT min(id) FROM employees e WHERE e.tenant = d.tenant AND e.department = d.id)`,
    `ALTER TABLE departments ADD FOREIGN KEY (tenant, head) REFERENCES employees`,
    `CREATE TABLE orders (tenant int NOT NULL, id bigint NOT NULL, buyer int NOT NULL, state state NOT NULL, total numeric NOT NULL,
       placed_at timestamptz NOT NULL, note text, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, buyer) REFERENCES employees)`,
    `INSERT INTO orders SELECT e.tenant, i, e.id, (enum_range(NULL::state))[1 + pick(i, 5, 3)], pick(i, 6, 10000000) / 100.0,
       timestamptz '2020-01-01 00:00Z' + pick(i, 7, 150000000) * interval '1.017 s', CASE WHEN i % 5 = 0 THEN repeat(md5(i::text) || ' ', 3) END
       FROM generate_series(1, ${orders}) i JOIN employees e ON e.id = 1 + i % ${employees}`,
    `CREATE INDEX ON orders (placed_at)`,
    `CREATE TABLE lines (tenant int NOT NULL, "order" bigint NOT NULL, line smallint NOT NULL, article text NOT NULL, amount int NOT NULL,
       price numeric(10, 2) NOT NULL, PRIMARY KEY (tenant, "order", line), FOREIGN KEY (tenant, "order") REFERENCES orders ON DELETE CASCADE)`,
    `INSERT INTO lines SELECT o.tenant, o.id, n, 'article-' || pick(o.id * 4 + n, 8, 50000), 1 + pick(o.id, 9, 9), pick(o.id + n, 10, 99999) / 100.0
       FROM orders o, generate_series(1, 3) n`,
    `CREATE TABLE tasks (id bigserial PRIMARY KEY, tenant int NOT NULL REFERENCES tenants, parent bigint REFERENCES tasks, title text NOT NULL,
       labels text[] NOT NULL, due timestamptz)`,
    `INSERT INTO tasks (tenant, parent, title, labels, due) SELECT tenant(i), CASE WHEN i > 10 THEN 1 + i / 3 END, 'Task ' || md5(i::text),
       ARRAY['label-' || pick(i, 11, 90), 'label-' || pick(i, 12, 90)], timestamptz '2024-01-01 00:00Z' + pick(i, 13, 90000) * interval '7 min'
       FROM generate_series(1, ${tasks}) i`,
    `CREATE TABLE files (id uuid PRIMARY KEY, tenant int NOT NULL REFERENCES tenants, name text NOT NULL, bytes bytea NOT NULL)`,
    `ALTER TABLE files ALTER bytes SET STORAGE EXTERNAL`,
    `INSERT INTO files SELECT md5(i::text)::uuid, tenant(i), 'file-' || i, decode(repeat(md5(i::text) || md5((i + 1)::text), 60), 'hex')
       FROM generate_series(1, ${rows(20_000)}) i`,
    `CREATE TABLE events (id bigint PRIMARY KEY, tenant int NOT NULL, at timestamptz NOT NULL, kind text NOT NULL, session uuid NOT NULL,
       address inet NOT NULL, cost numeric(14, 6) NOT NULL, digest bytea NOT NULL, payload jsonb NOT NULL)`,
    `INSERT INTO events SELECT i, tenant(i), timestamptz '2023-01-01 00:00Z' + i * interval '13.000321 s', (ARRAY['view', 'click', 'order', 'login'])[1 + pick(i, 14, 4)],
       md5((i / 20)::text)::uuid, ('10.' || pick(i / 20, 15, 250) || '.' || pick(i / 20, 16, 250) || '.7')::inet, pick(i, 17, 99999999) / 1000.0,
       decode(md5(i::text), 'hex'), jsonb_build_object('page', '/shop/' || pick(i, 18, 5000), 'agent', 'Mozilla/5.0 (X11; Linux x86_64) Version/' || pick(i, 19, 40),
         'ms', pick(i, 20, 9000), 'tags', jsonb_build_array(pick(i, 21, 99), pick(i, 22, 99)), 'referrer', NULL)
       FROM generate_series(1, ${events}) i`,
    `CREATE INDEX ON events (tenant, at)`,
    `ALTER TABLE events ADD FOREIGN KEY (tenant) REFERENCES tenants`,
    'DROP FUNCTION pick, tenant',
    // As a database is that has been running for a while: no reader has to settle what is visible.
    'VACUUM (ANALYZE)',
    'CHECKPOINT',
  ];
}

/** Statements for `count` tables of about `bytes` each (0: three rows), with an index, each referring to the one before. */
export function postgresSmallTables(count: number, bytes: number): string[] {
  const rows = Math.max(3, Math.round(bytes / 170));
  const tables = Array.from({ length: count }, (_, index) => {
    const parent = index === 0 ? '' : ` REFERENCES small_${index - 1}`;
    return `CREATE TABLE small_${index} (id int PRIMARY KEY, parent int${parent}, name text NOT NULL, at timestamptz NOT NULL);
      INSERT INTO small_${index} SELECT i, ${index === 0 ? 'NULL' : 'i'}, repeat(md5((i + ${index})::text), 3), timestamptz '2024-01-01 00:00Z' + i * interval '1 min'
        FROM generate_series(1, ${rows}) i;
      CREATE INDEX ON small_${index} (at)`;
  });
  return [...tables, 'VACUUM (ANALYZE)', 'CHECKPOINT'];
}
