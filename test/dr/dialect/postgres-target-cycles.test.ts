import { describe, expect, it } from 'vitest';
import { type LiveKey, orderCycle } from '../../../src/dr/dialect/postgres-target-cycles.ts';

function key(id: string, child: number, parent: number, deferrable = false): LiveKey {
  return { id, child, parent, deferrable };
}

describe('orderCycle', () => {
  it('breaks the one key without which there is no cycle', () => {
    const keys = [key('up', 1, 2), key('also up', 1, 2), key('down', 2, 1)];
    expect(orderCycle([1, 2], keys, () => false)).toEqual({
      tables: [2, 1],
      broken: new Set(['down']),
      deferrable: false,
    });
  });

  it('rather breaks several keys that can be deferred than one that cannot', () => {
    const keys = [key('up', 1, 2, true), key('also up', 1, 2, true), key('down', 2, 1)];
    const order = orderCycle([1, 2], keys, () => false);
    expect(order).toEqual({ tables: [1, 2], broken: new Set(['up', 'also up']), deferrable: true });
  });

  it('breaks a key of a table to itself only when its rows are loaded in parts', () => {
    expect(orderCycle([1], [key('self', 1, 1)], () => false).broken).toEqual(new Set());
    expect(orderCycle([1], [key('self', 1, 1)], () => true).broken).toEqual(new Set(['self']));
  });

  it('counts the copies that partitions have of a key once', () => {
    const keys = [key('one', 1, 3), key('one', 2, 3), key('two', 3, 1), key('three', 3, 2)];
    expect(orderCycle([1, 2, 3], keys, () => false).broken).toEqual(new Set(['one']));
  });

  it('leaves an order without contradiction also for many tables', () => {
    const tables = Array.from({ length: 12 }, (_, index) => index);
    const keys = tables.flatMap((table) => [
      key(`next ${table}`, table, (table + 1) % 12),
      key(`zero ${table}`, table, 0),
    ]);
    const order = orderCycle(tables, keys, () => false);
    const place = new Map(order.tables.map((table, index) => [table, index]));
    const kept = keys.filter(({ id, child, parent }) => !order.broken.has(id) && child !== parent);
    expect(kept.every(({ child, parent }) => (place.get(parent) ?? 0) < (place.get(child) ?? 0))).toBe(true);
    expect(order.broken.size).toBeLessThanOrEqual(12);
  });

  it('takes many tables parents first, and breaks only what must be broken', () => {
    const tables = Array.from({ length: 300 }, (_, n) => n);
    const keys = [...tables.slice(1).map((table) => key(`to ${table - 1}`, table, table - 1)), key('round', 0, 299)];
    expect(orderCycle(tables.toReversed(), keys, () => false).broken.size).toBe(1);
  });
});
