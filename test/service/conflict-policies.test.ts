import { describe, expect, it, onTestFinished } from 'vitest';
import { loadModel } from '../../src/model/load.ts';
import { ConflictPolicies, type DecideConflict } from '../../src/service/conflict-policies.ts';
import { resolveConflict } from '../../src/service/conflict-resolution.ts';
import { Conflicts } from '../../src/service/conflicts.ts';
import type { WriteContext } from '../../src/service/data-service.ts';
import { PrimaryService } from '../../src/service/primary.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';

type Policy = 'REJECT' | 'LAST_WRITE_WINS' | 'MERGE' | 'CUSTOM';

/** A primary with one document that was made at version `base` and changed to rank 2 since. */
async function late(policy: Policy, decide?: DecideConflict) {
  const text = `type Thing @entity @conflict(policy: ${policy}) { id: ID! @id  name: String  rank: Int  seen: DateTime @timestamp }`;
  const entity = loadModel([{ file: 'thing.graphql', text }]).entities[0]!;
  let now = 1_000;
  const fixture = await openSqliteStore([{ name: entity.collection, indexes: [] }], () => now++);
  onTestFinished(() => fixture[Symbol.asyncDispose]());
  const { store, log, database } = fixture;
  const conflicts = await Conflicts.open(database, () => 5_000);
  const functions = new Map(decide === undefined ? [] : [[entity.name, decide]]);
  const policies = new ConflictPolicies({ conflicts, history: log, decide: functions });
  const service = new PrimaryService({ store, log, policies });
  let writes = 0;
  const context = (idempotencyKey?: string): WriteContext => ({
    ...{ principal: 'p', field: `f${idempotencyKey ?? writes++}`, argumentsDigest: '', idempotencyKey },
    signal: new AbortController().signal,
  });
  const made = await service.create(entity, { _id: 't', name: 'old', rank: 1 }, context());
  const changed = await service.update(entity, 't', { $set: { rank: 2 } }, undefined, context());
  const [base, current] = [made.version as number, changed.version as number];
  return {
    ...{ entity, service, log, conflicts, base, current, context },
    update: (update: object, key?: string) => service.update(entity, 't', { ...update }, base, context(key)),
    remove: () => service.delete(entity, 't', base, context()),
    stored: () => store.collection(entity.collection).findOne({ _id: 't' }),
    listed: () => conflicts.list({ all: true, limit: 10, after: null }),
  };
}

describe('a write on an older version', () => {
  it('REJECT: is refused with the document there is, and not listed', async () => {
    const { update, remove, listed, current } = await late('REJECT');
    const refusal = { code: 'CONFLICT', details: { current: { _id: 't', rank: 2 }, currentVersion: current } };
    await expect(update({ $set: { name: 'new' } })).rejects.toMatchObject(refusal);
    await expect(remove()).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(listed()).toEqual([]);
  });

  it('MERGE: joins other fields, and answers a repetition as at first', async () => {
    const { update, stored, listed } = await late('MERGE');
    const first = await update({ $set: { name: 'new' }, $inc: { rank: 5 } }, 'k');
    expect(await stored()).toMatchObject({ name: 'new', rank: 7 });
    expect(await update({ $set: { name: 'new' }, $inc: { rank: 5 } }, 'k')).toEqual(first);
    expect(await stored()).toMatchObject({ rank: 7 });
    expect(listed()).toEqual([]);
  });

  it('MERGE: refuses and lists, once, a field that both changed; somebody decides', async () => {
    const { update, stored, listed, conflicts, service, base, current } = await late('MERGE');
    const error = await update({ $set: { rank: 0, name: 'new' } }).catch((thrown: unknown) => thrown);
    const [conflict] = listed();
    expect(error).toMatchObject({ code: 'CONFLICT', details: { currentVersion: current, conflict: conflict?.id } });
    expect(conflict).toMatchObject({
      ...{ kind: 'WRITE', document: '"t"', at: 5_000, outcome: 'OPEN', baseVersion: base, currentVersion: current },
      base: expect.stringContaining('"rank":1'),
      current: expect.stringContaining('"rank":2'),
      proposed: expect.stringContaining('"rank":0'),
    });
    await expect(update({ $set: { rank: 0, name: 'new' } })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(listed()).toHaveLength(1);
    expect(await stored()).toMatchObject({ rank: 2, name: 'old' });

    const id = conflict?.id as string;
    const settle = service.settle.bind(service);
    const decided = await resolveConflict(conflicts, settle, { id, resolution: 'APPLY', document: null });
    expect(decided).toMatchObject({ outcome: 'APPLIED', resolvedAt: 5_000 });
    expect(await stored()).toMatchObject({ rank: 0, name: 'new' });
    expect(conflicts.list({ all: false, limit: 10, after: null })).toEqual([]);
    // It is another document now: the list no longer says what would be overwritten.
    await expect(
      resolveConflict(conflicts, settle, { id, resolution: 'DOCUMENT', document: '{"rank": 9}' }),
    ).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(
      resolveConflict(conflicts, settle, { id, resolution: 'DOCUMENT', document: '{"_id": "other"}' }),
    ).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    await expect(
      resolveConflict(conflicts, settle, { id: 'none', resolution: 'KEEP', document: null }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('LAST_WRITE_WINS: is made, and lists what it took the place of', async () => {
    const { update, remove, stored, listed } = await late('LAST_WRITE_WINS');
    await update({ $set: { name: 'new' } });
    expect(listed()).toEqual([]);
    await update({ $set: { rank: 0 } });
    expect(await stored()).toMatchObject({ name: 'new', rank: 0 });
    expect(listed()).toMatchObject([{ outcome: 'APPLIED', current: expect.stringContaining('"rank":2') }]);
    await remove();
    expect(await stored()).toBeNull();
    expect(listed()).toMatchObject([
      {},
      { outcome: 'APPLIED', proposed: null, current: expect.stringContaining('"rank":0') },
    ]);
  });

  it('CUSTOM: stores what the function says, or leaves it to a person', async () => {
    const sum = await late('CUSTOM', ({ base, current, proposed }) => {
      return { ...current, rank: Number(current.rank) + Number(proposed.rank) - Number(base.rank) };
    });
    await sum.update({ $set: { rank: 11 } });
    expect(await sum.stored()).toMatchObject({ rank: 12 });
    expect(sum.listed()).toMatchObject([{ outcome: 'REPLACED' }]);
    const undecided = await late('CUSTOM', () => null);
    await expect(undecided.update({ $set: { rank: 11 } })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(undecided.listed()).toMatchObject([{ outcome: 'OPEN' }]);
  });

  it.each(['MERGE', 'LAST_WRITE_WINS', 'CUSTOM'] as const)(
    '%s: is refused when the log no longer has its base',
    async (policy) => {
      const { update, remove, log, listed } = await late(policy, ({ proposed }) => proposed);
      await log.trim(log.head().sequence);
      await expect(update({ $set: { name: 'new' } })).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(remove()).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(listed()).toEqual([]);
    },
  );

  it('takes back what it listed when the write is not made', async () => {
    const { service, entity, base, context, listed, stored } = await late('LAST_WRITE_WINS');
    await expect(
      service.update(entity, 't', { $set: { rank: 0 }, $inc: { name: 1 } }, base, context()),
    ).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    expect(listed()).toEqual([]);
    expect(await stored()).toMatchObject({ rank: 2 });
  });
});
