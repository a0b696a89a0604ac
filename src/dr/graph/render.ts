import type { ForeignKey, TableGraph } from './table-graph.ts';

/** Forms of {@link renderGraph}. */
export const GraphFormat = { TEXT: 'text', JSON: 'json', DOT: 'dot' } as const;
export type GraphFormat = (typeof GraphFormat)[keyof typeof GraphFormat];

/** A table as the graph shows it. */
export interface GraphTable {
  readonly id: number;
  /** `schema.name`, or `name` where there are no schemas. */
  readonly label: string;
}

/** The graph for people (`text`), for programs (`json`) or for Graphviz (`dot`). Ends with a line feed. */
export function renderGraph(graph: TableGraph, tables: readonly GraphTable[], format: GraphFormat): string {
  const labels = new Map(tables.map(({ id, label }) => [id, label]));
  const label = (id: number): string => labels.get(id) ?? String(id);
  if (format === GraphFormat.JSON) return renderJson(graph, label);
  return format === GraphFormat.DOT ? renderDot(graph, label) : renderText(graph, label);
}

function renderJson(graph: TableGraph, label: (id: number) => string): string {
  const json = {
    tables: graph.order.map((id) => ({ name: label(id), inDegree: graph.inDegree[String(id)] ?? 0 })),
    keys: graph.keys.map(({ child, parent, ...key }) => ({ ...key, child: label(child), parent: label(parent) })),
    cycles: graph.cycles.map((members) => members.map(label)),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}

function renderText(graph: TableGraph, label: (id: number) => string): string {
  const lines = [`${graph.order.length} tables, parents first`, ''];
  for (const id of graph.order) {
    lines.push(label(id));
    for (const key of graph.keys) if (key.child === id) lines.push(`  ${describeKey(key, label)}`);
  }
  if (graph.cycles.length > 0) lines.push('', 'Cycles:');
  for (const members of graph.cycles) lines.push(`  ${members.map(label).join(', ')}`);
  return `${lines.join('\n')}\n`;
}

function describeKey(key: ForeignKey, label: (id: number) => string): string {
  const notes = [key.deferrable ? 'deferrable' : '', key.validated ? '' : 'not validated'].filter(
    (note) => note !== '',
  );
  const suffix = notes.length === 0 ? '' : ` (${notes.join(', ')})`;
  return `${key.childColumns.join(', ')} -> ${label(key.parent)} ${key.parentColumns.join(', ')}${suffix}`;
}

function renderDot(graph: TableGraph, label: (id: number) => string): string {
  const quote = (text: string): string =>
    `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
  const inCycle = new Set(graph.cycles.flat());
  const lines = ['digraph tables {', '  node [shape=box];'];
  for (const id of graph.order) lines.push(`  ${quote(label(id))}${inCycle.has(id) ? ' [color=red]' : ''};`);
  for (const { child, parent, name } of graph.keys) {
    lines.push(`  ${quote(label(child))} -> ${quote(label(parent))} [label=${quote(name)}];`);
  }
  return `${[...lines, '}'].join('\n')}\n`;
}
