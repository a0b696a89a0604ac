import { z } from 'zod';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import { type CommandContext, ExitCode, Failure } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';
import { table } from './table.ts';

const ENTRY = z.object({
  id: z.string(),
  state: z.string(),
  collection: z.string(),
  document: z.string(),
  method: z.string(),
  argument: z.string().nullable(),
  image: z.string().nullable(),
  principal: z.string(),
  at: z.string(),
  endedAt: z.string().nullable(),
  reason: z.object({ code: z.string(), message: z.string(), conflict: z.string().nullable() }).nullable(),
});
const COUNTS = z.object({
  waiting: z.number(),
  conflicts: z.number(),
  held: z.number(),
  bytes: z.number(),
  oldestAt: z.string().nullable(),
});
const JOURNAL = COUNTS.extend({ entries: z.array(ENTRY) });

type Counts = z.infer<typeof COUNTS>;
type Entry = z.infer<typeof ENTRY>;

const COUNT_FIELDS = 'waiting conflicts held bytes oldestAt';
const ENTRY_FIELDS =
  'id state collection document method argument image principal at endedAt reason { code message conflict }';
/** Longest text of a document or value in a table. */
const WIDTH = 60;

/** `holdfast journal list`: exit 3 while something waits for somebody to decide. */
export async function journalList(context: CommandContext): Promise<ExitCode> {
  const { options, terminal } = context;
  const query = `query ($state: JournalState, $first: Int!, $after: ID) {
    journal { ${COUNT_FIELDS} entries(state: $state, first: $first, after: $after) { ${ENTRY_FIELDS} } }
  }`;
  const state = typeof options.state === 'string' ? options.state.toUpperCase() : null;
  const variables = { state, first: Number(options.first ?? 100), after: options.after ?? null };
  const { journal } = await asked(context, query, z.object({ journal: JOURNAL.nullable() }), variables);
  if (journal === null) {
    throw new Failure('there is no journal there: no primary on MongoDB, or no entity with @fallback(writes: JOURNAL)');
  }
  terminal.result(journal, [countsText(journal), '', entriesText(journal.entries)].join('\n'));
  return journal.conflicts + journal.held > 0 ? ExitCode.DEGRADED : ExitCode.OK;
}

/** `holdfast journal replay [ID]`. */
export async function journalReplay(context: CommandContext): Promise<ExitCode> {
  const query = `mutation ($ids: [ID!]) { journalReplay(ids: $ids) { ${COUNT_FIELDS} } }`;
  const [id] = context.arguments;
  const variables = { ids: typeof id === 'string' ? [id] : null };
  const { journalReplay: counts } = await asked(context, query, z.object({ journalReplay: COUNTS }), variables);
  context.terminal.result(counts, countsText(counts));
  return ExitCode.OK;
}

/** `holdfast journal discard ID`. */
export async function journalDiscard(context: CommandContext): Promise<ExitCode> {
  const query = `mutation ($id: ID!) { journalDiscard(id: $id) { ${ENTRY_FIELDS} } }`;
  const shape = z.object({ journalDiscard: ENTRY });
  const { journalDiscard: entry } = await asked(context, query, shape, { id: context.arguments[0] });
  const { id, method, collection, document, argument, principal, at } = entry;
  const lost = argument === null ? '' : `: ${argument}`;
  context.terminal.result(
    entry,
    `entry ${id} is given up. Lost is the ${method} of ${document} in "${collection}" that ${principal} made at ${at}${lost}`,
  );
  return ExitCode.OK;
}

function asked<T>({ options }: CommandContext, query: string, shape: z.ZodType<T>, variables: object): Promise<T> {
  const url = endpointOf(options.url, DEFAULT_ENDPOINTS.primaryOps);
  return ask(url, { query, shape, variables: { ...variables }, token: clientTokenOf(options) });
}

function countsText({ waiting, conflicts, held, bytes, oldestAt }: Counts): string {
  const since = oldestAt === null ? '' : `, since ${oldestAt}`;
  return `${waiting} wait for the database${since}; ${conflicts} in conflict, ${held} held; ${bytes} bytes`;
}

function entriesText(entries: readonly Entry[]): string {
  return table(
    ['id', 'state', 'at', 'by', 'write', 'reason'],
    entries.map(({ id, state, at, principal, method, collection, document, argument, reason }) => [
      ...[id, state, at, principal],
      short(`${method} ${collection} ${document} ${argument ?? ''}`),
      reason === null
        ? ''
        : `${reason.code}: ${short(reason.message)}${reason.conflict === null ? '' : ` (conflict ${reason.conflict})`}`,
    ]),
  );
}

function short(text: string): string {
  return text.length > WIDTH ? `${text.slice(0, WIDTH - 1)}…` : text;
}
