import { z } from 'zod';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import { type CommandContext, ExitCode } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';

const MUTATION = `mutation Resync($force: Boolean!) {
  replicaResync(force: $force) { position following { state } }
}`;

const ANSWER = z.object({
  replicaResync: z.object({ position: z.string(), following: z.object({ state: z.string() }).nullable() }),
});

/** `holdfast replica resync`: orders it; `holdfast status` shows how it goes. */
export async function replicaResync({ options, terminal }: CommandContext): Promise<ExitCode> {
  const url = endpointOf(options.url, DEFAULT_ENDPOINTS.replicaOps);
  const variables = { force: options.force === true };
  const token = clientTokenOf(options);
  const { replicaResync: ordered } = await ask(url, { query: MUTATION, variables, shape: ANSWER, token });
  const state = ordered.following?.state ?? 'unknown';
  terminal.result(
    { ordered: true, position: ordered.position, state },
    `ordered at position ${ordered.position} (${state}); \`holdfast status --url ${url}\` shows how it goes`,
  );
  return ExitCode.OK;
}
