const TENANTS = 200;

/**
 * As `postgresTenants`, for MariaDB. No UUID is a key: what myloader loads into such a table without checking keys, MariaDB 10.11
 * cannot commit.
 */
export function mariadbTenants(bytes: number): string[] {
  const scale = bytes / 1e9;
  const rows = (perGigabyte: number): number => Math.max(10, Math.round(perGigabyte * scale));
  const [employees, orders, tasks, events] = [rows(60_000), rows(330_000), rows(200_000), rows(1_900_000)];
  const pick = (i: string, salt: number, n: number): string => `(CRC32(CONCAT(${i}, '-${salt}')) MOD ${n})`;
  const tenant = (i: string): string =>
    `(1 + FLOOR(POW(${pick(i, 1, 1_000_000)} / 1000000.0, 3) * ${TENANTS}) MOD ${TENANTS})`;
  const at = (i: string, step: number): string => `TIMESTAMPADD(MICROSECOND, ${i} * ${step}, '2023-01-01 00:00:00')`;
  // MariaDB takes only what says of itself which kind of UUID it is.
  const uuid = (i: string): string => `INSERT(INSERT(MD5(${i}), 13, 1, '4'), 17, 1, '8')`;
  return [
    'CREATE TABLE tenants (id int PRIMARY KEY, `key` uuid NOT NULL, name varchar(80) NOT NULL, settings json NOT NULL)',
    `INSERT INTO tenants SELECT seq, ${uuid('seq')}, CONCAT('Tenant ', seq), JSON_OBJECT('plan', seq MOD 4, 'limits', JSON_ARRAY(seq, seq * 10))
       FROM seq_1_to_${TENANTS}`,
    `CREATE TABLE departments (tenant int NOT NULL REFERENCES tenants (id), id int NOT NULL, name varchar(80) NOT NULL, head int, PRIMARY KEY (tenant, id))`,
    `INSERT INTO departments SELECT t.seq, d.seq, CONCAT('Department ', d.seq), NULL FROM seq_1_to_${TENANTS} t, seq_1_to_20 d`,
    `CREATE TABLE employees (tenant int NOT NULL, id int NOT NULL, department int NOT NULL, name varchar(80) NOT NULL, email varchar(120) NOT NULL,
       salary decimal(12, 2) NOT NULL, since date NOT NULL, PRIMARY KEY (tenant, id), KEY (id),
       FOREIGN KEY (tenant, department) REFERENCES departments (tenant, id))`,
    `INSERT INTO employees SELECT ${tenant('seq')}, seq, 1 + ${pick('seq', 2, 20)}, CONCAT('Person ', MD5(seq)), CONCAT(seq, '@example.org'),
       ${pick('seq', 3, 900_000)} / 7.0, DATE_ADD('2000-01-01', INTERVAL ${pick('seq', 4, 9_000)} DAY) FROM seq_1_to_${employees}`,
    `UPDATE departments d JOIN (SELECT tenant, department, MIN(id) AS id FROM employees GROUP BY tenant, department) e
       ON e.tenant = d.tenant AND e.department = d.id SET d.head = e.id`,
    'ALTER TABLE departments ADD FOREIGN KEY (tenant, head) REFERENCES employees (tenant, id)',
    `CREATE TABLE orders (tenant int NOT NULL, id bigint NOT NULL, buyer int NOT NULL, state enum('open', 'waiting', 'done') NOT NULL, total decimal(14, 4) NOT NULL,
       placed_at datetime(6) NOT NULL, note text, PRIMARY KEY (tenant, id), KEY (placed_at), FOREIGN KEY (tenant, buyer) REFERENCES employees (tenant, id))`,
    `INSERT INTO orders SELECT e.tenant, seq, e.id, 1 + ${pick('seq', 5, 3)}, ${pick('seq', 6, 10_000_000)} / 100.0, ${at('seq', 700_017_003)},
       IF(seq MOD 5 = 0, REPEAT(CONCAT(MD5(seq), ' '), 3), NULL) FROM seq_1_to_${orders} JOIN employees e ON e.id = 1 + seq MOD ${employees}`,
    `CREATE TABLE \`lines\` (tenant int NOT NULL, \`order\` bigint NOT NULL, line smallint NOT NULL, article varchar(40) NOT NULL, amount int NOT NULL,
       price decimal(10, 2) NOT NULL, PRIMARY KEY (tenant, \`order\`, line), FOREIGN KEY (tenant, \`order\`) REFERENCES orders (tenant, id) ON DELETE CASCADE)`,
    `INSERT INTO \`lines\` SELECT o.tenant, o.id, seq, CONCAT('article-', ${pick('o.id * 4 + seq', 8, 50_000)}), 1 + ${pick('o.id', 9, 9)},
       ${pick('o.id + seq', 10, 99_999)} / 100.0 FROM orders o, seq_1_to_3`,
    `CREATE TABLE tasks (id bigint AUTO_INCREMENT PRIMARY KEY, tenant int NOT NULL, parent bigint, title varchar(200) NOT NULL, due datetime,
       FOREIGN KEY (tenant) REFERENCES tenants (id), FOREIGN KEY (parent) REFERENCES tasks (id))`,
    `INSERT INTO tasks (id, tenant, parent, title, due) SELECT seq, ${tenant('seq')}, IF(seq > 10, 1 + seq DIV 3, NULL), CONCAT('Task ', MD5(seq)), ${at('seq', 420_000_000)}
       FROM seq_1_to_${tasks}`,
    `CREATE TABLE files (id bigint PRIMARY KEY, \`key\` uuid NOT NULL, tenant int NOT NULL REFERENCES tenants (id), name varchar(80) NOT NULL, bytes mediumblob NOT NULL)`,
    `INSERT INTO files SELECT seq, ${uuid('seq')}, ${tenant('seq')}, CONCAT('file-', seq), UNHEX(REPEAT(CONCAT(MD5(seq), MD5(seq + 1)), 60)) FROM seq_1_to_${rows(20_000)}`,
    `CREATE TABLE events (id bigint PRIMARY KEY, tenant int NOT NULL, at datetime(6) NOT NULL, kind varchar(20) NOT NULL, session uuid NOT NULL,
       address inet6 NOT NULL, cost decimal(14, 6) NOT NULL, digest binary(16) NOT NULL, payload json NOT NULL)`,
    `INSERT INTO events SELECT seq, ${tenant('seq')}, ${at('seq', 13_000_321)}, ELT(1 + ${pick('seq', 14, 4)}, 'view', 'click', 'order', 'login'), ${uuid('seq DIV 20')},
       CONCAT('::10.', ${pick('seq DIV 20', 15, 250)}, '.', ${pick('seq DIV 20', 16, 250)}, '.7'), ${pick('seq', 17, 99_999_999)} / 1000.0, UNHEX(MD5(seq)),
       JSON_OBJECT('page', CONCAT('/shop/', ${pick('seq', 18, 5_000)}), 'agent', CONCAT('Mozilla/5.0 (X11; Linux x86_64) Version/', ${pick('seq', 19, 40)}),
         'ms', ${pick('seq', 20, 9_000)}, 'tags', JSON_ARRAY(${pick('seq', 21, 99)}, ${pick('seq', 22, 99)}), 'referrer', NULL)
       FROM seq_1_to_${events}`,
    'ALTER TABLE events ADD KEY (tenant, at), ADD FOREIGN KEY (tenant) REFERENCES tenants (id)',
    'ANALYZE TABLE tenants, departments, employees, orders, `lines`, tasks, files, events',
  ];
}

/** As `postgresSmallTables`, for MariaDB. */
export function mariadbSmallTables(count: number, bytes: number): string[] {
  const rows = Math.max(3, Math.round(bytes / 170));
  return Array.from({ length: count }, (_, index) => {
    const parent = index === 0 ? '' : `, FOREIGN KEY (parent) REFERENCES small_${index - 1} (id)`;
    return [
      `CREATE TABLE small_${index} (id int PRIMARY KEY, parent int, name varchar(120) NOT NULL, at datetime NOT NULL, KEY (at)${parent})`,
      `INSERT INTO small_${index} SELECT seq, ${index === 0 ? 'NULL' : 'seq'}, REPEAT(MD5(seq + ${index}), 3), TIMESTAMPADD(MINUTE, seq, '2024-01-01')
         FROM seq_1_to_${rows}`,
    ];
  }).flat();
}
