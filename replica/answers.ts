import { z } from 'zod';
import { HoldfastError } from '../src/errors.ts';
import { parsePosition } from '../src/model/position.ts';
import { HelloStatus } from '../src/protocol/sync-source.ts';
import { TOKEN } from '../src/service/token.ts';

const whole = z.int().nonnegative();
const hash = z.string().regex(/^[0-9a-f]{32}$/);
const position = z.string().transform((text) => parsePosition(text));
const digest = z.object({ collection: z.string(), count: whole, sum: hash });
const row = z.object({ id: z.string(), version: whole, text: z.string() });

/** What each operation of the sync API answers: parsed, not trusted. */
const ANSWERS = {
  hello: z.object({
    status: z.enum(HelloStatus),
    logId: hash,
    epoch: whole,
    head: whole,
    floor: whole,
    cursor: z.string(),
    epochs: z.array(z.object({ epoch: whole, firstSequence: whole })),
    sdl: z.string(),
    sdlHash: z.string(),
  }),
  changes: z.object({
    epoch: whole,
    from: whole,
    to: whole,
    head: whole,
    floor: whole,
    previous: hash,
    chain: hash,
    cursor: z.string(),
    checksum: whole,
    body: z.string(),
    digests: z.array(digest).nullable(),
  }),
  snapshot: z.object({ rows: z.array(row), next: z.string().nullable(), position }),
  digests: z.object({ position, digests: z.array(digest) }),
  buckets: z.object({ collection: z.string(), position, buckets: z.string() }),
  bucketRows: z.object({ position, rows: z.array(z.object({ id: z.string(), version: whole, hash })) }),
  rows: z.array(row),
  chain: z.array(hash.nullable()),
  tokens: z.array(TOKEN),
  ack: z.boolean(),
} as const;

/** Name of an operation of the sync API. */
export type OperationName = keyof typeof ANSWERS;
/** Its answer. */
export type Answer<Name extends OperationName> = z.output<(typeof ANSWERS)[Name]>;

/**
 * Takes the answer out of `data`, whose only field it is.
 * @throws PRIMARY_UNREACHABLE when it does not have the shape of the sync API: the other side is something else.
 */
export function answerOf<Name extends OperationName>(name: Name, data: unknown): Answer<Name> {
  const value = typeof data === 'object' && data !== null ? Object.values(data)[0] : undefined;
  const parsed = ANSWERS[name].safeParse(value);
  if (!parsed.success) {
    throw new HoldfastError(
      'PRIMARY_UNREACHABLE',
      `the source's answer to ${name} is not one of the sync API: ${z.prettifyError(parsed.error).slice(0, 300)}`,
      { cause: parsed.error },
    );
  }
  return parsed.data as Answer<Name>;
}
