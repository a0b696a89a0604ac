import { graphql, parse, subscribe } from 'graphql';
import { describe, expect, test } from 'vitest';
import { buildOperatorSchema } from '../../resolvers/operator.ts';
import { HoldfastError } from '../../src/errors.ts';
import type { TokenService } from '../../src/service/access.ts';
import { AuditLog } from '../../src/service/audit-log.ts';
import type { DrJob, DrOrder, DrService } from '../../src/service/dr-service.ts';
import type { OpsService } from '../../src/service/ops-service.ts';
import { temporaryDirectory } from '../support/temporary.ts';

const JOB: DrJob = {
  ...{ id: 'job-1', kind: 'BACKUP', state: 'RUNNING', source: 'shop', target: null, backup: 'job-1', level: null },
  progress: {
    ...{ phase: 'reading rows', tablesDone: 1, tablesTotal: 2, rowsDone: 3 },
    ...{ bytesDone: 5_000_000_000, bytesTotal: 6_000_000_000, percent: 83, etaMs: null },
  },
  tables: [
    {
      ...{ name: 'public.film', state: 'RUNNING', rows: 3, bytes: 5_000_000_000, worker: 2 },
      ...{ startedAt: '2026-01-31T08:30:01.000Z', endedAt: null, error: null },
    },
  ],
  ...{ notices: [], by: 'olga', createdAt: '2026-01-31T08:30:00.000Z', startedAt: null, endedAt: null, error: null },
};

class FakeDr implements DrService {
  readonly calls: unknown[] = [];
  ended = false;
  sources = async () => [
    { name: 'shop', location: 'db:5432/shop', problem: null, suffixes: [{ table: 'users', sql: 'WHERE t.id = 1' }] },
  ];
  backups = async () => [];
  jobs = async (first: number) => Array.from({ length: Math.min(first, 1) }, () => JOB);
  async job(id: string): Promise<DrJob> {
    if (id === JOB.id) return JOB;
    throw new HoldfastError('DR_NOT_FOUND', `There is no job ${id}.`);
  }
  graph = async () => ({ tables: [{ name: 'public.film', inDegree: 0 }], keys: [], cycles: [], dot: 'digraph {}' });
  async start(order: DrOrder, by: string): Promise<DrJob> {
    this.calls.push([order, by]);
    return JOB;
  }
  async cancel(id: string): Promise<DrJob> {
    this.calls.push(['cancel', id]);
    return { ...JOB, state: 'CANCELLED', error: { code: 'DR_CANCELLED', message: 'cancelled' } };
  }
  async resume(id: string): Promise<DrJob> {
    this.calls.push(['resume', id]);
    return JOB;
  }
  async delete(backup: string): Promise<void> {
    throw new HoldfastError('DR_LOCKED', `Backup ${backup} is used.`);
  }
  async *progress(_id: string, signal: AbortSignal) {
    try {
      yield JOB;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    } finally {
      this.ended = true;
    }
  }
}

async function open() {
  const directory = await temporaryDirectory();
  const audit = new AuditLog({ directory: directory.path, onError: () => {} });
  const dr = new FakeDr();
  const schema = buildOperatorSchema({ service: {} as OpsService, tokens: {} as TokenService, dr, audit });
  const contextValue = { signal: new AbortController().signal, principal: 'olga', address: '192.0.2.1' };
  return {
    ...{ dr, audit, schema, contextValue },
    ask: (source: string) => graphql({ schema, source, contextValue }),
    async [Symbol.asyncDispose]() {
      audit[Symbol.dispose]();
      await directory[Symbol.asyncDispose]();
    },
  };
}

describe('disaster recovery by GraphQL', () => {
  test('turns inputs into orders, with their defaults', async () => {
    await using port = await open();
    const { errors } = await port.ask(`mutation {
      least: drBackup(input: {source: "shop"}) { id state }
      most: drBackup(input: {source: "shop", workers: 4, suffixes: [{table: "users", sql: "WHERE t.id = 1"}], closure: true,
        tables: ["users"], compress: "none", format: BINARY}) { id }
      restore: drRestore(input: {backup: "monday", target: "copy"}) { id }
      data: drRestore(input: {backup: "monday", target: "copy", workers: 2, mode: DATA, tables: ["users"], confirm: "copy"}) { id }
      verify: drVerify(input: {backup: "monday"}) { id }
      drill: drVerify(input: {backup: "monday", level: DRILL, target: "copy"}) { id }
    }`);
    expect(errors).toBeUndefined();
    const backup = { kind: 'BACKUP', source: 'shop' };
    const restore = { kind: 'RESTORE', backup: 'monday', target: 'copy' };
    expect(port.dr.calls.map((call) => (call as unknown[])[0])).toEqual([
      { ...backup, workers: null, suffixes: {}, closure: false, tables: null, compress: 'zstd', format: 'auto' },
      {
        ...{ ...backup, workers: 4, suffixes: { users: 'WHERE t.id = 1' }, closure: true },
        ...{ tables: ['users'], compress: 'none', format: 'binary' },
      },
      { ...restore, workers: null, mode: 'full', tables: null, confirm: null },
      { ...restore, workers: 2, mode: 'data', tables: ['users'], confirm: 'copy' },
      { kind: 'VERIFY', backup: 'monday', level: 'DEEP', target: null },
      { kind: 'VERIFY', backup: 'monday', level: 'DRILL', target: 'copy' },
    ]);
    expect(port.dr.calls.every((call) => (call as unknown[])[1] === 'olga')).toBe(true);
  });

  test('refuses a table with two suffixes', async () => {
    await using port = await open();
    const suffixes = '[{table: "a", sql: "WHERE true"}, {table: "a", sql: "WHERE false"}]';
    const { errors } = await port.ask(`mutation { drBackup(input: {source: "shop", suffixes: ${suffixes}}) { id } }`);
    expect(errors?.[0]?.message).toContain('twice');
    expect(port.dr.calls).toEqual([]);
  });

  test('answers jobs with moments and large numbers, sources, graphs, and errors by code', async () => {
    await using port = await open();
    const { data, errors } = await port.ask(`{
      drJobs { id kind state source target backup progress { percent bytesDone etaMs } createdAt startedAt
        tables { name state worker startedAt } error { code } }
      drJob(id: "other") { id }
      drSources { name location problem suffixes { table sql } }
      drGraph(source: "shop") { tables { name inDegree } cycles dot }
    }`);
    expect(errors?.[0]?.originalError).toMatchObject({ code: 'DR_NOT_FOUND' });
    expect(data).toBeNull();
    const answer = await port.ask(
      `{ drJob(id: "job-1") { createdAt startedAt progress { bytesDone } tables { startedAt } } }`,
    );
    expect(answer.errors).toBeUndefined();
    expect(JSON.parse(JSON.stringify(answer.data))).toEqual({
      drJob: {
        ...{ createdAt: '2026-01-31T08:30:00.000Z', startedAt: null, progress: { bytesDone: 5_000_000_000 } },
        tables: [{ startedAt: '2026-01-31T08:30:01.000Z' }],
      },
    });
    for (const first of [0, 501]) expect((await port.ask(`{ drJobs(first: ${first}) { id } }`)).errors).toHaveLength(1);
  });

  test('streams a job, and ends the stream of a subscriber that leaves', async () => {
    await using port = await open();
    const { schema, contextValue } = port;
    const document = parse('subscription { drProgress(id: "job-1") { state progress { percent } } }');
    const values = (await subscribe({ schema, document, contextValue })) as AsyncGenerator<{ data: unknown }>;
    expect((await values.next()).value.data).toEqual({ drProgress: { state: 'RUNNING', progress: { percent: 83 } } });
    await values.return(undefined);
    expect(port.dr.ended).toBe(true);
  });
});

describe('the audit log of the ops port', () => {
  test('has every mutation that is called, with what came of it', async () => {
    await using port = await open();
    await port.ask('mutation { drCancel(id: "job-1") { state } again: drDelete(backup: "monday") }');
    const { data } = await port.ask('{ auditLog { id at by address action arguments outcome code endedAt } }');
    const { auditLog } = JSON.parse(JSON.stringify(data)) as { auditLog: Record<string, string>[] };
    const who = { by: 'olga', address: '192.0.2.1' };
    expect(auditLog).toMatchObject([
      { ...who, action: 'drDelete', arguments: '{"backup":"monday"}', outcome: 'FAILED', code: 'DR_LOCKED' },
      { ...who, action: 'drCancel', arguments: '{"id":"job-1"}', outcome: 'SUCCEEDED', code: null },
    ]);
    const older = await port.ask(`{ auditLog(first: 1, before: "${auditLog[0]?.id}") { action } }`);
    expect(older.data).toEqual({ auditLog: [{ action: 'drCancel' }] });
    for (const wrong of ['first: 0', 'first: 501', 'before: "x"']) {
      expect((await port.ask(`{ auditLog(${wrong}) { id } }`)).errors).toHaveLength(1);
    }
  });

  test('leaves no mutation out', async () => {
    await using port = await open();
    const mutations = Object.values(port.schema.getMutationType()?.getFields() ?? {});
    for (const { resolve } of mutations) {
      await Promise.resolve(resolve?.({}, {}, port.contextValue, {} as never)).catch(() => {});
    }
    expect(port.audit.list(100).map(({ action }) => action)).toEqual(mutations.map(({ name }) => name).reverse());
    expect(mutations.length).toBeGreaterThan(8);
  });
});
