import { type Config, dataDirectory, type LoadedConfig } from '../config.ts';
import { ERRORS, isHoldfastError } from '../errors.ts';
import { secretOf } from '../util/secrets.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { checkClock, checkData, checkDisk, checkNode, checkPort, checkPrimary, type Finding } from './examine.ts';
import { configuredModel } from './sdl.ts';
import { table } from './table.ts';

/** `holdfast doctor`: looks at everything a start depends on, and says what to do about each thing that is wrong. With `--drill` a drill. */
export async function doctor(context: CommandContext): Promise<ExitCode> {
  if (context.options.drill !== undefined) return (await import('./doctor-drill.ts')).drill(context);
  const { config, terminal } = context;
  const findings: Finding[] = [checkNode(process.versions.node)];
  const loaded = await attempt('configuration', findings, async () => config());
  if (loaded !== undefined) {
    findings.push({ check: 'configuration', state: 'ok', detail: loaded.file ?? 'defaults, environment' });
    findings.push(...(await examine(loaded)));
  }
  terminal.result({ findings }, textOf(findings));
  if (findings.some(({ state }) => state === 'fail')) return ExitCode.FAILED;
  return findings.some(({ state }) => state === 'warn') ? ExitCode.DEGRADED : ExitCode.OK;
}

async function examine({ config }: LoadedConfig): Promise<Finding[]> {
  const findings: Finding[] = [];
  const model = await attempt('schema', findings, async () => configuredModel(config));
  if (model !== undefined) findings.push(schemaFinding(config, model.entities.length));
  const { host, port, opsPort } = config.server;
  findings.push(await checkPort('data port', host, port, opsPort, '--port'));
  findings.push(await checkPort('ops port', host, opsPort, opsPort, '--ops-port'));
  const directory = dataDirectory(config);
  findings.push(checkData(directory), checkDisk(directory), checkClock(directory, Date.now()));
  const { primary, token } = config.replica;
  if (config.role === 'replica') {
    const shown = await attempt('token', findings, async () => token && secretOf('replica.token', token));
    findings.push(...(await Promise.all(primary.map((url) => checkPrimary(url, shown)))));
  }
  return findings;
}

function schemaFinding(config: Config, entities: number): Finding {
  const place = config.schema ?? (config.role === 'replica' ? 'from the primary' : 'the example');
  return { check: 'schema', state: 'ok', detail: `${entities} entities, ${place}` };
}

/** What `work` gives; when it fails, a finding of its error. */
async function attempt<T>(check: string, findings: Finding[], work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    findings.push({ check, state: 'fail', detail: error.message.trim(), remedy: ERRORS[error.code].remedy });
    return undefined;
  }
}

function textOf(findings: readonly Finding[]): string {
  const rows = findings.map(({ state, check, detail }) => [state, check, detail]);
  const remedies = findings.flatMap(({ check, remedy }) => (remedy === undefined ? [] : [`${check}: ${remedy}`]));
  return [table(['', 'check', 'found'], rows), ...(remedies.length > 0 ? ['', ...remedies] : [])].join('\n');
}
