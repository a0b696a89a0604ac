import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ancestors, type ForeignKey, tableGraph } from '../../../src/dr/graph/table-graph.ts';

const key = (child: number, parent: number): ForeignKey => ({
  ...{ name: `k${child}_${parent}`, child, parent, childColumns: ['a'], parentColumns: ['id'] },
  ...{ deferrable: false, validated: true, match: 'SIMPLE' },
});

describe('tableGraph', () => {
  it('puts parents before children', () => {
    const graph = tableGraph([1, 2, 3], [key(1, 2), key(2, 3)]);
    expect(graph.order).toEqual([3, 2, 1]);
    expect(graph.inDegree).toEqual({ 1: 1, 2: 1, 3: 0 });
    expect(graph.cycles).toEqual([]);
  });

  it('counts a parent once however many keys lead to it, and a table never as its own', () => {
    const graph = tableGraph([1, 2], [key(1, 2), { ...key(1, 2), name: 'again' }, key(1, 1)]);
    expect(graph.inDegree).toEqual({ 1: 1, 2: 0 });
    expect(graph.cycles).toEqual([]);
    expect(graph.keys).toHaveLength(3);
  });

  it('keeps the tables of a cycle together, and what depends on it after them', () => {
    const graph = tableGraph([1, 2, 3, 4], [key(1, 2), key(2, 3), key(3, 2), key(3, 4)]);
    expect(graph.order).toEqual([4, 2, 3, 1]);
    expect(graph.cycles).toEqual([[2, 3]]);
  });

  it('joins cycles that share a table', () => {
    expect(tableGraph([1, 2, 3], [key(1, 2), key(2, 1), key(2, 3), key(3, 2)]).cycles).toEqual([[1, 2, 3]]);
  });

  it('leaves out keys to tables that are not there', () => {
    const graph = tableGraph([1], [key(1, 9), key(9, 1)]);
    expect(graph).toEqual({ keys: [], inDegree: { 1: 0 }, order: [1], cycles: [] });
  });

  it('treats a partitioned table and its partitions as one', () => {
    // 2 and 3 are partitions of 1; 5 is one of 4; the key goes from 1 to 4.
    const root = (id: number): number => (id <= 3 ? 1 : 4);
    const graph = tableGraph([1, 2, 3, 4, 5], [key(1, 4)], root);
    expect(graph.order).toEqual([4, 5, 1, 2, 3]);
    expect(graph.inDegree).toEqual({ 1: 1, 2: 1, 3: 1, 4: 0, 5: 0 });
  });

  it('orders any graph so that every key outside of a cycle leads back', () => {
    const edge = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }));
    fc.assert(
      fc.property(fc.array(edge, { maxLength: 40 }), (edges) => {
        const tables = Array.from({ length: 12 }, (_, i) => i + 1);
        const keys = edges.map(([child, parent]) => key(child, parent));
        const { order, cycles } = tableGraph(tables, keys);
        expect([...order].sort((a, b) => a - b)).toEqual(tables);
        const cycleOf = (id: number): number => cycles.findIndex((members) => members.includes(id));
        for (const { child, parent } of keys) {
          const together = child === parent || (cycleOf(child) >= 0 && cycleOf(child) === cycleOf(parent));
          if (!together) expect(order.indexOf(parent)).toBeLessThan(order.indexOf(child));
          // Two tables that reach each other are in one cycle, and only those.
          const reach = (from: number, to: number): boolean => ancestors([from], keys).has(to);
          const mutual = child !== parent && reach(parent, child);
          expect(cycleOf(child) >= 0 && cycleOf(child) === cycleOf(parent) && child !== parent).toBe(mutual);
        }
      }),
    );
  });

  it('goes through a chain of a hundred thousand tables', () => {
    const tables = Array.from({ length: 100_000 }, (_, i) => i);
    const parents = new Map(tables.slice(1).map((id) => [id, key(id, id - 1)]));
    expect(tableGraph(tables, [...parents.values()]).order.at(-1)).toBe(99_999);
  });
});

describe('ancestors', () => {
  it('follows keys from child to parent, through cycles', () => {
    expect(ancestors([1], [key(1, 2), key(2, 3), key(3, 2), key(4, 1)])).toEqual(new Set([1, 2, 3]));
  });
});
