import type { Manifest, ManifestTable } from '../dr/archive/manifest.ts';
import { showArchive } from '../dr/archives.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { keyOf, required } from './dr-options.ts';
import { bytesText, numberText } from './dr-run.ts';
import { table } from './table.ts';

/** `holdfast dr show`: what an archive holds; with `--json` its manifest and the reports of verifications. */
export async function drShow(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const from = required(options, 'from', 'the archive, e.g. --from ./backups/monday');
  const { config } = await context.config();
  const found = await showArchive(from, { key: await keyOf(config) });
  const reports = Object.values(found.verified).map(({ level, result, endedAt, by }) => {
    return `verified   ${level.toLowerCase()} ${result.toLowerCase()} ${endedAt} by ${by}`;
  });
  terminal.result(found, [factsOf(found.manifest), ...reports, '', tablesOf(found.manifest)].join('\n'));
  return ExitCode.OK;
}

function factsOf({
  id,
  dialect,
  server,
  startedAt,
  endedAt,
  tool,
  consistency,
  encryption,
  ...rest
}: Manifest): string {
  const { position, closure, unsupported, objects, sequences } = rest;
  const positions = Object.entries(position).map(([name, value]) => `position   ${name} ${value}`);
  return [
    `backup     ${id} by Holdfast ${tool}`,
    `database   ${server.database} of ${dialect} ${server.version}`,
    `taken      ${startedAt} to ${endedAt}`,
    ...positions,
    `grade      ${consistency.grade}${consistency.notes.map((note) => `\n           ${note}`).join('')}`,
    `holds      ${objects.length} objects of the schema, ${sequences.length} sequences${closure ? ', closure of selected rows' : ''}`,
    ...(encryption === null ? [] : [`encrypted  ${encryption.algorithm}, key ${encryption.keyId}`]),
    ...unsupported.map((name) => `left out   ${name}`),
  ].join('\n');
}

function tablesOf({ tables }: Manifest): string {
  const stored = ({ chunks }: ManifestTable): number => chunks.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const rows = tables.map((one) => [
    one.schema === '' ? one.name : `${one.schema}.${one.name}`,
    numberText(one.rows),
    bytesText(one.bytes),
    bytesText(stored(one)),
    String(one.chunks.length),
    one.suffix ?? '',
  ]);
  return table(['table', 'rows', 'bytes', 'stored', 'files', 'selected by'], rows);
}
