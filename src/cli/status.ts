import { z } from 'zod';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';
import { table } from './table.ts';

const FOLLOWING = z.object({
  state: z.string(),
  primary: z.string(),
  applied: z.number(),
  head: z.number(),
  lagChanges: z.number(),
  lagMs: z.number().nullable(),
  proven: z.boolean(),
  lastError: z.string().nullable(),
});

const REPLICA = z.object({
  replica: z.string(),
  state: z.string(),
  url: z.string().nullable(),
  applied: z.number(),
  lagChanges: z.number(),
  lagMs: z.number(),
  seenMs: z.number(),
});

const STATUS = z.object({
  role: z.string(),
  version: z.string(),
  uptimeMs: z.number(),
  store: z.string(),
  position: z.string(),
  floor: z.number(),
  logId: z.string(),
  sdlHash: z.string(),
  degraded: z.boolean(),
  problems: z.array(z.string()),
  entities: z.array(z.object({ name: z.string(), count: z.number() })),
  following: FOLLOWING.nullable(),
  replicas: z.array(REPLICA),
});

const QUERY = `{ status {
  role version uptimeMs store position floor logId sdlHash degraded problems
  entities { name count }
  following { state primary applied head lagChanges lagMs proven lastError }
  replicas { replica state url applied lagChanges lagMs seenMs }
} }`;

/** `holdfast status`. */
export async function status({ options, terminal }: CommandContext): Promise<ExitCode> {
  const url = endpointOf(options.url, DEFAULT_ENDPOINTS.primaryOps);
  const answer = await ask(url, {
    query: QUERY,
    shape: z.object({ status: STATUS }),
    token: clientTokenOf(options),
  });
  terminal.result(answer.status, textOf(answer.status));
  return answer.status.degraded ? ExitCode.DEGRADED : ExitCode.OK;
}

function textOf(state: z.infer<typeof STATUS>): string {
  const { role, version, uptimeMs, store, position, floor, degraded, problems, entities, following, replicas } = state;
  const lines = [
    `${role.toLowerCase()} ${degraded ? 'DEGRADED' : 'well'}, holdfast ${version}, up ${Math.round(uptimeMs / 1000)} s, ${store}`,
    ...problems.map((problem) => `  ! ${problem}`),
    `position ${position}, changes kept from ${floor}`,
  ];
  if (following !== null) lines.push(followingText(following));
  lines.push(
    '',
    table(
      ['entity', 'documents'],
      entities.map(({ name, count }) => [name, count.toLocaleString('en')]),
    ),
  );
  if (replicas.length > 0) lines.push('', replicaTable(replicas));
  return lines.join('\n');
}

function followingText({ state, primary, lagMs, lagChanges, proven, lastError }: z.infer<typeof FOLLOWING>): string {
  const lag = lagMs === null ? 'not caught up yet' : `${lagMs} ms and ${lagChanges} changes behind`;
  const failure = lastError === null ? '' : `; last error: ${lastError}`;
  return `follows ${primary}: ${state}, ${lag}, ${proven ? 'proven equal' : 'not proven equal yet'}${failure}`;
}

function replicaTable(replicas: readonly z.infer<typeof REPLICA>[]): string {
  return table(
    ['replica', 'state', 'url', 'behind', 'last word'],
    replicas.map(({ replica, state, url, lagChanges, lagMs, seenMs }) => {
      return [replica, state, url ?? '-', `${lagChanges} changes, ${lagMs} ms`, `${seenMs} ms ago`];
    }),
  );
}
