import { z } from 'zod';
import { ACCESS_ROLES, dataDirectory } from '../config.ts';
import { Access, type TokenInfo, type TokenRequest } from '../service/access.ts';
import { TOKEN } from '../service/token.ts';
import { TokenFiles } from '../service/token-files.ts';
import { ask } from './ask.ts';
import { clientTokenOf } from './client-token.ts';
import type { CommandContext } from './command.ts';
import { DEFAULT_ENDPOINTS, endpointOf } from './endpoint.ts';

/** The tokens of a node, in its data directory or by its ops port. */
export interface TokenAdmin {
  list(): Promise<readonly TokenInfo[]>;
  /** `secret` is the token itself, told only now. @throws VALIDATION_FAILED */
  create(request: TokenRequest): Promise<{ readonly token: TokenInfo; readonly secret: string }>;
  /** @throws NOT_FOUND */
  revoke(id: string): Promise<TokenInfo>;
}

/** The tokens of the process at `--url`; without it those in the data directory, where a running process sees the change, see docs/security.md. */
export async function openTokenAdmin(context: CommandContext): Promise<TokenAdmin> {
  const { options } = context;
  return options.url === undefined
    ? local(context)
    : remote(endpointOf(options.url, DEFAULT_ENDPOINTS.primaryOps), options);
}

async function local({ config, terminal }: CommandContext): Promise<TokenAdmin> {
  const loaded = await config();
  const access = new Access({
    files: new TokenFiles(dataDirectory(loaded.config)),
    configured: loaded.config.auth.tokens,
    onError: (error) => terminal.note(`warning: ${(error as Error).message}`),
  });
  return {
    list: async () => access.list(),
    create: async (request) => access.create(request),
    revoke: async (id) => access.revoke(id),
  };
}

const INFO = TOKEN.omit({ hash: true }).extend({
  roles: z.array(z.string().toLowerCase().pipe(z.enum(ACCESS_ROLES))),
  origin: z.enum(['HERE', 'CONFIG', 'SOURCE']),
  lastUsedAt: z.string().nullable(),
});
const FIELDS = 'id name roles origin createdAt expiresAt revokedAt lastUsedAt';
const CREATE = `mutation Create($input: TokenInput!) { tokenCreate(input: $input) { secret token { ${FIELDS} } } }`;
const REVOKE = `mutation Revoke($id: ID!) { tokenRevoke(id: $id) { ${FIELDS} } }`;

function remote(url: string, options: CommandContext['options']): TokenAdmin {
  const token = clientTokenOf(options);
  return {
    async list() {
      const shape = z.object({ tokens: z.array(INFO) });
      return (await ask(url, { query: `{ tokens { ${FIELDS} } }`, shape, token })).tokens;
    },
    async create({ roles, ...request }) {
      const shape = z.object({ tokenCreate: z.object({ secret: z.string(), token: INFO }) });
      const input = { ...request, roles: roles.map((role) => role.toUpperCase()) };
      return (await ask(url, { query: CREATE, variables: { input }, shape, token })).tokenCreate;
    },
    async revoke(id) {
      const shape = z.object({ tokenRevoke: INFO });
      return (await ask(url, { query: REVOKE, variables: { id }, shape, token })).tokenRevoke;
    },
  };
}
