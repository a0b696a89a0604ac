import type { Config } from '../config.ts';
import { VerifyLevel } from '../dr/verified-file.ts';
import { verify } from '../dr/verify.ts';
import type { SqlSource } from '../sql/connect.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { keyOf, oneOf, required, sourceOf, workersOf } from './dr-options.ts';
import { bytesText, durationText, numberText, runLong } from './dr-run.ts';

const LEVELS = { quick: VerifyLevel.QUICK, deep: VerifyLevel.DEEP, drill: VerifyLevel.DRILL } as const;

/** `holdfast dr verify`: exit 1 with every problem when the archive is not what the backup wrote. */
export async function drVerify(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const from = required(options, 'from', 'the archive, e.g. --from ./backups/monday');
  const level = LEVELS[oneOf(options, 'level', ['quick', 'deep', 'drill'])];
  const { config } = await context.config();
  const target = targetOf(options, config, level);
  const order = { target, from, level, workers: workersOf(config), key: await keyOf(config) };
  const report = await runLong(context, (work) => verify({ ...order, ...work }));
  const rows = report.rows === null ? '' : `${numberText(report.rows)} rows, `;
  const recovery = report.recoveryMs === null ? '' : `, recovered in ${durationText(report.recoveryMs)}`;
  const seconds = durationText(report.durationMs) + recovery;
  terminal.result(
    report,
    `${from}: ${report.level.toLowerCase()} verification passed: ${rows}${bytesText(report.bytes)}, ${seconds}`,
  );
  return ExitCode.OK;
}

function targetOf(options: CommandContext['options'], config: Config, level: VerifyLevel): SqlSource | undefined {
  if (level !== VerifyLevel.DRILL) return undefined;
  return sourceOf(config, required(options, 'target', 'a database of the server that the drill is to run on')).source;
}
