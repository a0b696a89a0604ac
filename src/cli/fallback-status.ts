import { z } from 'zod';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import { type CommandContext, ExitCode, Failure } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';
import { table } from './table.ts';

const INCIDENT = z.object({
  id: z.string(),
  startedAt: z.string(),
  detectedMs: z.number(),
  endedAt: z.string().nullable(),
  cause: z.string(),
  scopes: z.array(z.string()),
  reads: z.object({ LIVE: z.number(), SNAPSHOT: z.number(), DATASET: z.number() }),
  readsRefused: z.number(),
  writesRefused: z.number(),
  writesUnknown: z.number(),
  writesJournaled: z.number(),
});

const STATUS = z.object({
  state: z.string(),
  scopes: z.array(
    z.object({ scope: z.string(), state: z.string(), forced: z.string().nullable(), cause: z.string().nullable() }),
  ),
  tiers: z.array(
    z.object({
      source: z.string(),
      collections: z.array(
        z.object({ collection: z.string(), coverage: z.string(), stalenessMs: z.number().nullable() }),
      ),
    }),
  ),
  incidents: z.array(INCIDENT),
});

type Status = z.infer<typeof STATUS>;

const FIELDS = `{
  state scopes { scope state forced cause }
  tiers { source collections { collection coverage stalenessMs } }
  incidents {
    id startedAt detectedMs endedAt cause scopes reads { LIVE SNAPSHOT DATASET } readsRefused
    writesRefused writesUnknown writesJournaled
  }
}`;

/** `holdfast fallback status`: exit 3 while anything is kept from the database. */
export async function fallbackStatus(context: CommandContext): Promise<ExitCode> {
  const query = `{ fallbackStatus ${FIELDS} }`;
  const { fallbackStatus: found } = await asked(context, query, z.object({ fallbackStatus: STATUS.nullable() }));
  if (found === null) throw new Failure('nothing answers in place of the database there: it is no primary on MongoDB');
  return told(context, found);
}

/** `holdfast fallback force [SCOPE]`. */
export async function fallbackForce(context: CommandContext): Promise<ExitCode> {
  const query = `mutation ($scope: String!, $state: FallbackForceState!) {
    fallbackForce(scope: $scope, state: $state) ${FIELDS}
  }`;
  const state = context.options.closed === true ? 'CLOSED' : 'OPEN';
  const shape = z.object({ fallbackForce: STATUS });
  told(context, (await asked(context, query, shape, { scope: scopeOf(context), state })).fallbackForce);
  return ExitCode.OK;
}

/** `holdfast fallback release [SCOPE]`. */
export async function fallbackRelease(context: CommandContext): Promise<ExitCode> {
  const query = `mutation ($scope: String!) { fallbackRelease(scope: $scope) ${FIELDS} }`;
  const shape = z.object({ fallbackRelease: STATUS });
  told(context, (await asked(context, query, shape, { scope: scopeOf(context) })).fallbackRelease);
  return ExitCode.OK;
}

function scopeOf({ arguments: [scope] }: CommandContext): string {
  return typeof scope === 'string' ? scope : 'database';
}

function asked<T>({ options }: CommandContext, query: string, shape: z.ZodType<T>, variables = {}): Promise<T> {
  const url = endpointOf(options.url, DEFAULT_ENDPOINTS.primaryOps);
  return ask(url, { query, shape, variables, token: clientTokenOf(options) });
}

function told({ terminal }: CommandContext, status: Status): ExitCode {
  terminal.result(status, textOf(status));
  return status.state === 'CLOSED' ? ExitCode.OK : ExitCode.DEGRADED;
}

function textOf({ state, scopes, tiers, incidents }: Status): string {
  const lines = [
    `breaker ${state}`,
    ...scopes.map(({ scope, state: own, forced, cause }) => {
      return `  ${scope} ${own}${forced === null ? '' : `, forced ${forced}`}${cause === null ? '' : `: ${cause}`}`;
    }),
    '',
    table(
      ['tier', 'collection', 'has', 'age'],
      tiers.flatMap(({ source, collections }) =>
        collections.map(({ collection, coverage, stalenessMs }) => [
          ...[source, collection, coverage],
          stalenessMs === null ? 'not known' : `${stalenessMs} ms`,
        ]),
      ),
    ),
  ];
  for (const { id, startedAt, endedAt, detectedMs, cause, reads, readsRefused, writesRefused } of incidents) {
    const answered = reads.LIVE + reads.SNAPSHOT + reads.DATASET;
    lines.push(
      '',
      `outage ${id}: ${startedAt} to ${endedAt ?? 'now'}, found out after ${detectedMs} ms: ${cause}`,
      `  ${answered} reads answered, ${readsRefused} not; ${writesRefused} writes refused`,
    );
  }
  return lines.join('\n');
}
