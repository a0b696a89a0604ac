import { expect, it } from 'vitest';
import type { Entity } from '../../src/model/entity.ts';
import type { WriteContext } from '../../src/service/data-service.ts';
import { idempotencyOf, newId, newKey } from '../../src/service/identity.ts';

const ENTITY = { name: 'Reading', id: { name: 'id', type: 'ID' } } as Entity;

it('draws a UUIDv7 of its own for each of many documents, all of whose random bits vary', () => {
  const ids = Array.from({ length: 2_000 }, (_, index) => newId(ENTITY, {} as WriteContext, index) as string);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  // Neighbours drawn from overlapping bytes would share these 48 bits.
  expect(new Set(ids.map((id) => id.slice(-12))).size).toBe(ids.length);
  expect(new Set(ids.map((id) => id.slice(14, 18))).size).toBeGreaterThan(1_000);
});

it('derives the same id from the same idempotency key and place, and another from another place', () => {
  const context = { principal: 'ada', idempotencyKey: 'k', field: 'createReadings' } as unknown as WriteContext;
  expect(newId(ENTITY, context, 0)).toBe(newId(ENTITY, context, 0));
  expect(newId(ENTITY, context, 1)).not.toBe(newId(ENTITY, context, 0));
});

it('derives the ids that other versions derive, so that a retry meets its first attempt on any primary', () => {
  const shared = { principal: 'ada', field: 'createReadings' };
  const given = { ...shared, idempotencyKey: 'k' } as unknown as WriteContext;
  expect(newId(ENTITY, given, 0)).toBe('be3520e7-24d6-8c0c-85a6-9922e3190d67');
  const made = { ...shared, madeKey: 'hf-01a20259-c01a-7757-8bdc-be75c2a0f1d0' } as unknown as WriteContext;
  expect(newId(ENTITY, made, 3)).toBe('01a20259-c01a-7271-a1bc-9f6d99bd8d4c');
});

it('derives from a key that it made an id of its time, the same when the key comes back from the client', () => {
  const madeKey = newKey();
  const shared = { principal: 'ada', field: 'createReadings', argumentsDigest: 'd' };
  const first = { ...shared, madeKey } as unknown as WriteContext;
  const again = { ...shared, idempotencyKey: madeKey } as unknown as WriteContext;
  const id = newId(ENTITY, first, 0) as string;
  expect(id.slice(0, 13)).toBe(madeKey.slice(3, 16));
  expect(id[14]).toBe('7');
  expect(newId(ENTITY, again, 0)).toBe(id);
  expect(idempotencyOf(first, 0)).toEqual({ ...idempotencyOf(again, 0), fresh: true });
  expect(idempotencyOf(again, 0)).not.toHaveProperty('fresh');
  const token = { ...ENTITY, id: { name: 'id', type: 'ObjectID' } } as Entity;
  expect(String(newId(token, first, 0))).toBe(String(newId(token, again, 0)));
});
