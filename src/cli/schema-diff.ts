import { diffModels } from '../model/diff.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { configuredModel, modelAt } from './sdl.ts';
import { table } from './table.ts';

/** `holdfast schema diff OLD [NEW]`: what documents and clients would notice; NEW is the configured schema by default. */
export async function schemaDiff({ arguments: [old, recent], config, terminal }: CommandContext): Promise<ExitCode> {
  const before = modelAt(String(old));
  const after = recent === undefined ? configuredModel((await config()).config) : modelAt(String(recent));
  const changes = diffModels(before, after);
  const rows = changes.map(({ change, name, message, breaking }) => [
    breaking ? 'BREAKS' : '',
    change.toLowerCase(),
    name,
    message,
  ]);
  terminal.result({ changes }, rows.length === 0 ? 'no difference' : table(['', 'change', 'where', 'what'], rows));
  return changes.some(({ breaking }) => breaking) ? ExitCode.DEGRADED : ExitCode.OK;
}
