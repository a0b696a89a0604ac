import { z } from 'zod';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';

const MUTATION = `mutation Promote($force: Boolean!) {
  replicaPromote(force: $force) { position epoch lostChanges }
}`;

const ANSWER = z.object({
  replicaPromote: z.object({ position: z.string(), epoch: z.number(), lostChanges: z.number().nullable() }),
});

/** Checking unique fields and remembering keys takes some seconds for a million documents. */
const TIMEOUT_MS = 10 * 60_000;

/** `holdfast replica promote`: makes the replica a primary. */
export async function replicaPromote({ options, terminal }: CommandContext): Promise<ExitCode> {
  const url = endpointOf(options.url, DEFAULT_ENDPOINTS.replicaOps);
  const variables = { force: options.force === true };
  const { replicaPromote: promoted } = await ask(url, {
    ...{ query: MUTATION, variables, shape: ANSWER, timeoutMs: TIMEOUT_MS },
    token: clientTokenOf(options),
  });
  const { position, epoch, lostChanges } = promoted;
  const lost =
    lostChanges === null
      ? 'how far its primary was is not known'
      : `${lostChanges} changes of its primary had not come here`;
  terminal.result(promoted, `promoted: primary of epoch ${epoch} from position ${position} on; ${lost}`);
  return ExitCode.OK;
}
