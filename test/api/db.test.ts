import { describe, expect, test } from 'vitest';
import { createApiContext } from '../../src/api/context.ts';
import type { EntityDb } from '../../src/api/db.ts';
import type { WriteContext } from '../../src/service/data-service.ts';
import { NOW, testApi } from '../support/api.ts';

const SDL = `
type Teacher @entity {
  id: ID! @id
  name: String! @field(name: "full-name")
  email: String @unique
  lessons: Int! @default(value: 0)
  seen: DateTime @timestamp
}
type Room @entity { id: ID! @id }
`;

function setUp(idempotencyKey?: string) {
  const { service, model } = testApi(SDL);
  const request = { principal: 'p', signal: new AbortController().signal, idempotencyKey };
  const context = createApiContext(service, request, model, { clock: () => NOW });
  return { service, context, teachers: context.db.teachers as EntityDb, rooms: context.db.rooms as EntityDb };
}

describe('context.db', () => {
  test('offers the generated operations as functions', async () => {
    const { teachers } = setUp();
    const { document } = await teachers.create({ id: 't1', name: 'Ada' });
    expect(document).toEqual({ _id: 't1', id: 't1', 'full-name': 'Ada', name: 'Ada', lessons: 0, seen: NOW });
    expect(await teachers.findById('t1')).toEqual(document);
    expect(await teachers.findById('t2')).toBeNull();
    await teachers.update('t1', { set: { name: 'Bea' }, inc: { lessons: 2 } });
    expect(await teachers.findOne({ name: { eq: 'Bea' } })).toMatchObject({ lessons: 2 });
    await teachers.createMany([{ name: 'C' }, { name: 'D' }]);
    const listed = await teachers.find({ where: { lessons: { eq: 0 } }, orderBy: [{ name: -1 }], limit: 1 });
    expect(listed.map((row) => row['full-name'])).toEqual(['D']);
    await teachers.upsert({ email: 'e' }, { name: 'E' }, { name: 'F' });
    await teachers.updateMany({ email: { isNull: true } }, { lessons: 9 });
    expect(await teachers.count({ lessons: { eq: 9 } })).toBe(3);
    await teachers.delete('t1');
    expect(await teachers.deleteMany({})).toMatchObject({ written: 3 });
    expect(await teachers.count()).toBe(0);
  });

  test('checks what it is given like the API does', async () => {
    const { teachers } = setUp();
    await expect(teachers.create({})).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
      details: { fields: ['name'] },
    });
    await expect(teachers.create({ name: 'A', nmae: 'B' })).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
    await expect(teachers.update('t1', { set: { 'full-name': 'A' } })).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    await expect(teachers.find({ limit: -1 })).rejects.toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
    await expect(teachers.deleteMany({ name: {} })).rejects.toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
  });

  test('tells its writes apart under an idempotency key, the same way each time', async () => {
    const fields = async () => {
      const { service, teachers, rooms } = setUp('k');
      await teachers.create({ name: 'A' });
      await rooms.create({});
      await teachers.create({ name: 'A' });
      return service.calls.map((call) => {
        const { field, argumentsDigest } = call.args[1] as WriteContext;
        return [field, argumentsDigest];
      });
    };
    const once = await fields();
    expect(new Set(once.map(([field]) => field)).size).toBe(3);
    expect(await fields()).toEqual(once);
  });
});
