import { restore } from '../dr/restore.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { keyOf, listOf, oneOf, optional, required, sourceOf, workersOf } from './dr-options.ts';
import { bytesText, durationText, numberText, runLong } from './dr-run.ts';

/** `holdfast dr restore`: everything is in the target, durable, when this exits 0. */
export async function drRestore(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const from = required(options, 'from', 'the archive, e.g. --from ./backups/monday');
  const given = required(options, 'target', 'the database to write, e.g. --target postgres://user@host/database');
  const { config } = await context.config();
  const order = {
    ...{ from, target: sourceOf(config, given).source, workers: workersOf(config), key: await keyOf(config) },
    mode: oneOf(options, 'mode', ['full', 'data']),
    tables: listOf(options, 'tables'),
    confirm: optional(options, 'confirm'),
    resume: options.resume === true,
  };
  const summary = await runLong(context, (work) => restore({ ...order, ...work }));
  for (const notice of summary.notices) terminal.note(`note: ${notice}`);
  const counts = `${summary.tables} tables, ${numberText(summary.rows)} rows, ${bytesText(summary.bytes)}`;
  const done = summary.state === 'complete' ? 'was complete already' : `${counts}, ${durationText(summary.durationMs)}`;
  terminal.result(summary, `${summary.target}: ${done}`);
  return ExitCode.OK;
}
