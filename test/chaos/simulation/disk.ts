import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** A disk with one database: outlives the processes that open it, and holds what they committed. */
export class Disk extends DatabaseSync {
  /** The next commit fails as on a full disk. */
  failing = false;
  readonly #statements = new Map<string, StatementSync>();
  /** Texts that make what is missing: run, and committed; run in this transaction. */
  readonly #made = new Set<string>();
  readonly #making = new Set<string>();

  constructor() {
    super(':memory:');
  }

  /** Prepared once for all processes: a restart costs no parsing. */
  override prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = super.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  override exec(sql: string): void {
    if (sql === 'COMMIT' && this.failing) {
      this.failing = false;
      throw new Error('database or disk is full');
    }
    if (/^(BEGIN|COMMIT|SAVEPOINT|RELEASE)[^;]*$/.test(sql)) this.prepare(sql).run();
    else if (!this.#made.has(sql)) super.exec(sql);
    if (/^\s*CREATE TABLE IF NOT EXISTS/.test(sql)) this.#making.add(sql);
    if (sql === 'COMMIT') for (const made of this.#making) this.#made.add(made);
    if (sql === 'COMMIT' || sql.startsWith('ROLLBACK')) this.#making.clear();
  }

  /** Whether a table was made and committed. */
  has(table: string): boolean {
    return this.prepare('SELECT 1 FROM sqlite_master WHERE name = ?').get(table) !== undefined;
  }

  /** Removes every row but those that say which tables there are: as good as new, and cheaper. */
  wipe(): this {
    if (this.isTransaction) super.exec('ROLLBACK');
    this.failing = false;
    const tables = this.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    for (const { name } of tables) {
      if (name !== 'collections' && name !== 'indexes') this.prepare(`DELETE FROM ${name}`).run();
    }
    return this;
  }
}
