import { describe, expect, it } from 'vitest';
import { renderGraph } from '../../../src/dr/graph/render.ts';
import { tableGraph } from '../../../src/dr/graph/table-graph.ts';

const tables = [
  { id: 1, label: 'public.film' },
  { id: 2, label: 'public."odd"' },
];
const graph = tableGraph(
  [1, 2],
  [
    {
      ...{ name: 'film_odd', child: 1, parent: 2, childColumns: ['a', 'b'], parentColumns: ['x', 'y'] },
      ...{ deferrable: true, validated: false, match: 'SIMPLE' },
    },
  ],
);

describe('renderGraph', () => {
  it('lists tables with their keys as text, parents first', () => {
    expect(renderGraph(graph, tables, 'text')).toBe(
      '2 tables, parents first\n\npublic."odd"\npublic.film\n  a, b -> public."odd" x, y (deferrable, not validated)\n',
    );
  });

  it('gives names instead of ids as JSON', () => {
    const json = JSON.parse(renderGraph(graph, tables, 'json'));
    expect(json.tables).toEqual([
      { name: 'public."odd"', inDegree: 0 },
      { name: 'public.film', inDegree: 1 },
    ]);
    expect(json.keys[0]).toMatchObject({ child: 'public.film', parent: 'public."odd"', name: 'film_odd' });
  });

  it('quotes names for Graphviz', () => {
    expect(renderGraph(graph, tables, 'dot')).toBe(
      'digraph tables {\n  node [shape=box];\n  "public.\\"odd\\"";\n  "public.film";\n  "public.film" -> "public.\\"odd\\"" [label="film_odd"];\n}\n',
    );
  });

  it('marks the tables of a cycle', () => {
    const cycle = tableGraph(
      [1, 2],
      [
        { ...graph.keys[0]!, name: 'there' },
        { ...graph.keys[0]!, name: 'back', child: 2, parent: 1 },
      ],
    );
    expect(renderGraph(cycle, tables, 'text')).toContain('Cycles:\n  public.film, public."odd"\n');
    expect(renderGraph(cycle, tables, 'dot')).toContain('"public.film" [color=red];');
  });
});
