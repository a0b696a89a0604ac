import { z } from 'zod';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';
import { table } from './table.ts';

const VERIFICATION = z.object({
  equal: z.boolean(),
  position: z.string(),
  collections: z.array(
    z.object({ collection: z.string(), equal: z.boolean(), count: z.number(), sourceCount: z.number() }),
  ),
  differences: z.array(z.object({ collection: z.string(), id: z.string(), kind: z.string() })),
});

const MUTATION = `mutation Verify($deep: Boolean!) { replicaVerify(deep: $deep) {
  equal position
  collections { collection equal count sourceCount }
  differences { collection id kind }
} }`;

/** Reading a large copy anew takes a while. */
const TIMEOUT_MS = 30 * 60_000;

/** `holdfast replica verify`: exit 0 when the replica equals its primary, 3 when they differ. */
export async function replicaVerify({ options, terminal }: CommandContext): Promise<ExitCode> {
  const url = endpointOf(options.url, DEFAULT_ENDPOINTS.replicaOps);
  const { replicaVerify: found } = await ask(url, {
    query: MUTATION,
    variables: { deep: options.deep === true },
    shape: z.object({ replicaVerify: VERIFICATION }),
    token: clientTokenOf(options),
    timeoutMs: TIMEOUT_MS,
  });
  terminal.result(found, textOf(found));
  return found.equal ? ExitCode.OK : ExitCode.DEGRADED;
}

function textOf({ equal, position, collections, differences }: z.infer<typeof VERIFICATION>): string {
  const rows = collections.map(({ collection, equal: same, count, sourceCount }) => {
    return [collection, same ? 'equal' : 'DIFFERS', count.toLocaleString('en'), sourceCount.toLocaleString('en')];
  });
  const lines = [
    `${equal ? 'equal' : 'DIFFERENT'} at position ${position}`,
    table(['collection', '', 'replica', 'primary'], rows),
  ];
  if (differences.length > 0) {
    const details = differences.map(({ collection, id, kind }) => [kind, collection, id]);
    lines.push('', table(['difference', 'collection', 'id'], details));
    lines.push('', '`holdfast replica resync` repairs them.');
  }
  return lines.join('\n');
}
