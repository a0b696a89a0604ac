import { pruneArchives } from '../dr/archives.ts';
import { type CommandContext, ExitCode, UsageError } from './command.ts';
import { archiveTable } from './dr-list.ts';
import { required } from './dr-options.ts';

/** `holdfast dr prune`: removes all but the newest archives of each database, and nothing that is no archive. */
export async function drPrune(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const given = required(options, 'keep', 'how many of each database stay, e.g. --keep 7');
  const keep = Number(given);
  if (!Number.isInteger(keep) || keep < 1)
    throw new UsageError(`--keep ${given} is no number of archives; at least 1 stays`);
  const { config } = await context.config();
  const dryRun = options.dryRun === true;
  const summary = await pruneArchives(config.dr.dir, { keep, dryRun });
  for (const { location, reason } of summary.unknown) terminal.note(`left alone: ${location}: ${reason}`);
  const removed = summary.removed.length === 0 ? '' : `\n${archiveTable(summary.removed)}`;
  const count = `${summary.removed.length} of ${summary.removed.length + summary.kept.length} archives`;
  terminal.result({ dryRun, ...summary }, `${count} ${dryRun ? 'would be removed' : 'removed'}${removed}`);
  return ExitCode.OK;
}
