import { backup } from '../dr/backup.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { compressionOf, keyOf, listOf, oneOf, required, sourceOf, suffixesOf, workersOf } from './dr-options.ts';
import { bytesText, durationText, numberText, runLong } from './dr-run.ts';

/** `holdfast dr backup`: the archive is there when this exits 0; else nothing is. */
export async function drBackup(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const out = required(options, 'out', 'where the archive is to be written, e.g. --out ./backups/monday');
  const given = required(options, 'source', 'the database, e.g. --source postgres://user@host/database');
  const tables = listOf(options, 'tables');
  const { config } = await context.config();
  const { source, suffixes } = sourceOf(config, given);
  const key = await keyOf(config);
  const order = {
    ...{ source, out, workers: workersOf(config) },
    suffixes: { ...suffixes, ...suffixesOf(options) },
    closure: options.closure === true,
    compression: compressionOf(options),
    format: oneOf(options, 'format', ['auto', 'text', 'binary']),
    allowUnsupported: options.allowUnsupported === true,
    ...(tables && { tables }),
    ...(key && { key }),
  };
  const summary = await runLong(context, (work) => backup({ ...order, ...work }));
  const { grade, notes } = summary.consistency;
  for (const note of notes) terminal.note(`note: ${note}`);
  for (const object of summary.unsupported) terminal.note(`left out: ${object}`);
  const size = `${bytesText(summary.bytes)} in ${bytesText(summary.storedBytes)}`;
  const counts = `${summary.tables} tables, ${numberText(summary.rows)} rows, ${size}`;
  terminal.result(summary, `${summary.location}: ${counts}, consistency ${grade}, ${durationText(summary.durationMs)}`);
  return ExitCode.OK;
}
