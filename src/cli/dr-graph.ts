import { renderGraph } from '../dr/graph/render.ts';
import { readGraph } from '../dr/read-graph.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { oneOf, required, sourceOf } from './dr-options.ts';

/** `holdfast dr graph`: the tables of a database by their foreign keys. */
export async function drGraph(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const given = required(options, 'source', 'the database, e.g. --source postgres://user@host/database');
  const format = oneOf(options, 'format', ['text', 'json', 'dot']);
  const { config } = await context.config();
  const { graph, tables } = await readGraph(sourceOf(config, given).source);
  terminal.result(JSON.parse(renderGraph(graph, tables, 'json')), renderGraph(graph, tables, format));
  return ExitCode.OK;
}
