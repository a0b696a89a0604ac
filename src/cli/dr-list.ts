import { type ArchiveSummary, listArchives } from '../dr/archives.ts';
import type { VerifyReports } from '../dr/verified-file.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { bytesText, numberText } from './dr-run.ts';
import { table } from './table.ts';

/** `holdfast dr list`: the archives in a place, newest first. */
export async function drList(context: CommandContext): Promise<ExitCode> {
  const { config } = await context.config();
  const found = await listArchives(config.dr.dir);
  for (const { location, reason } of found.unknown) context.terminal.note(`no archive: ${location}: ${reason}`);
  const text = found.archives.length === 0 ? `no archives in ${config.dr.dir}` : archiveTable(found.archives);
  context.terminal.result(found, text);
  return ExitCode.OK;
}

/** Archives as a table for people. */
export function archiveTable(archives: readonly ArchiveSummary[]): string {
  const headings = ['archive', 'database', 'ended', 'tables', 'rows', 'size', 'grade', 'verified'];
  const rows = archives.map((archive) => [
    archive.location,
    `${archive.dialect} ${archive.database}${archive.subset ? ' (subset)' : ''}`,
    archive.endedAt,
    numberText(archive.tables),
    numberText(archive.rows),
    `${bytesText(archive.storedBytes)}${archive.encrypted ? ' (encrypted)' : ''}`,
    archive.grade,
    verifiedText(archive.verified),
  ]);
  return table(headings, rows);
}

function verifiedText(reports: VerifyReports): string {
  const texts = Object.values(reports).map(({ level, result, endedAt }) => {
    return `${level.toLowerCase()}${result === 'PASSED' ? '' : ' FAILED'} ${endedAt.slice(0, 10)}`;
  });
  return texts.join(', ') || 'never';
}
