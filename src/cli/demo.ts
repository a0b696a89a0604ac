import { type ChildProcess, spawn } from 'node:child_process';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type Config, dataDirectory, environmentWith, exampleSchemaDirectory, type LoadedConfig } from '../config.ts';
import { createGateway } from '../gateway.ts';
import { type CommandContext, ExitCode, Failure, UsageError } from './command.ts';
import { fillWithExample } from './demo-data.ts';
import { Lifetime } from './lifetime.ts';
import { type Addresses, addressesOf } from './ready.ts';

const READY = z.object({ ready: z.literal(true), url: z.string(), opsUrl: z.string() });

/** `holdfast demo`: a primary in this process and a replica in another, with the example data when there is none. */
export async function demo(context: CommandContext): Promise<ExitCode> {
  const { terminal } = context;
  using lifetime = new Lifetime(terminal.note);
  const loaded = await context.config('primary');
  const config = quiet(loaded);
  if (config.auth.mode !== 'none')
    throw new UsageError('the demo serves everybody on this machine: leave auth.mode at none');
  await using gateway = await createGateway(config);
  // The second process compiles what this one has compiled already.
  flushCompileCache();
  const environment = environmentWith({ 'telemetry.level': config.telemetry.level });
  await using replica = new ReplicaProcess(replicaArguments(context, gateway.url, config), environment);

  const announced = (async () => {
    if (config.schema === undefined) await fillWithExample(gateway.url, exampleSchemaDirectory());
    const [primary, follower] = [addressesOf(gateway), await replica.ready];
    terminal.result({ ready: true, ...primary, replica: follower }, overview(primary, follower, config));
  })();
  await Promise.race([announced.then(() => lifetime.over), lifetime.over, replica.failed]);
  return ExitCode.OK;
}

/** Warnings only, unless a level was chosen: the addresses should stay in sight. */
function quiet({ config, origins }: LoadedConfig): Config {
  if (origins.get('telemetry.level') !== 'default') return config;
  return { ...config, telemetry: { ...config.telemetry, level: 'warn' } };
}

function replicaArguments({ options }: CommandContext, url: string, { replica }: Config): string[] {
  const primary = url.replace(/^http/, 'ws');
  const ports = ['--port', String(options.replicaPort), '--ops-port', String(options.replicaOpsPort)];
  const file = typeof options.config === 'string' ? ['--config', options.config] : [];
  return ['--json', '--primary', primary, ...ports, '--data', replica.data, ...file];
}

/** `holdfast replica` as a process of its own; it stops when this process is gone. */
class ReplicaProcess implements AsyncDisposable {
  /** Resolves when it first serves. */
  readonly ready: Promise<Addresses>;
  /** Rejects when it ends without having been asked to; never resolves. */
  readonly failed: Promise<never>;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #stopping = false;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    const [node, program = ''] = process.argv as [string, string?];
    this.#child = spawn(node, [program, 'replica', ...args], { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    const failed = Promise.withResolvers<never>();
    this.failed = failed.promise;
    this.failed.catch(() => undefined);
    const ended = Promise.withResolvers<void>();
    this.#ended = ended.promise;
    this.#child.once('exit', (code, signal) => {
      ended.resolve();
      if (!this.#stopping) failed.reject(new Failure(`the replica ended (${signal ?? `exit code ${code}`})`));
    });
    this.ready = Promise.race([this.#firstLine(), this.failed]);
    this.ready.catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#child.kill('SIGTERM');
    await this.#ended;
  }

  async #firstLine(): Promise<Addresses> {
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    const first = await lines[Symbol.asyncIterator]().next();
    const ready = READY.safeParse(first.done ? undefined : JSON.parse(first.value));
    // Anything else is its error, which stderr shows too; it ends then.
    return ready.success ? ready.data : this.failed;
  }
}

function overview(primary: Addresses, replica: Addresses, config: Config): string {
  const addresses = (name: string, { url, opsUrl }: Addresses) => `
  ${name}  GraphQL   ${url}
           GraphiQL  ${opsUrl}/graphiql
           Health    ${opsUrl}/health/ready
           Metrics   ${opsUrl}/metrics
`;
  return `ready ${primary.url} ops ${primary.opsUrl}

A primary, and a replica that follows it:
${addresses('Primary', primary)}${addresses('Replica', replica)}${config.schema === undefined ? tryIt(primary, replica) : ''}
Data is in ${dataDirectory(config)} and ${config.replica.data}. Ctrl-C stops both.
`;
}

function tryIt(primary: Addresses, replica: Addresses): string {
  const curl = (url: string, query: string) =>
    `  curl -s ${url} -H 'content-type: application/json' \\\n    -d '${JSON.stringify({ query })}'\n`;
  return `
Create a school on the primary, read it from the replica:

${curl(primary.url, 'mutation { createSchool(input: {name: "Hilltop"}) { outcome position school { id name } } }')}
${curl(replica.url, '{ schools(where: {name: {eq: "Hilltop"}}) { id name createdAt } }')}`;
}
