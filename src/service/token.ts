import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ACCESS_ROLES } from '../config.ts';

const PREFIX = 'hf_';
/** 256 bits. */
const SECRET_BYTES = 32;
const TEXT = /^hf_[\w-]{43}$/;
const ID_LENGTH = 16;

/** What is known of a token; the token itself is known to its holder only. Times are ISO 8601. */
export const TOKEN = z.object({
  /** The first 16 digits of `hash`, so that it is the same on every node. The principal of who holds the token. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  name: z.string(),
  /** SHA-256 of the token, hexadecimal. No slow hash: nobody guesses 256 random bits, and every request is checked. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  roles: z.array(z.enum(ACCESS_ROLES)),
  createdAt: z.iso.datetime({ offset: true }).nullable(),
  /** The first moment at which it is not accepted; null: never. */
  expiresAt: z.iso.datetime({ offset: true }).nullable(),
  revokedAt: z.iso.datetime({ offset: true }).nullable(),
});
export type Token = Readonly<Omit<z.output<typeof TOKEN>, 'roles'>> & {
  readonly roles: readonly z.output<typeof TOKEN>['roles'][number][];
};

/** A new token: `hf_`, by which scanners for leaked secrets know it, and 256 random bits as base64url. */
export function drawToken(): string {
  return PREFIX + randomBytes(SECRET_BYTES).toString('base64url');
}

/** Whether a text can be a token at all. */
export function isTokenText(text: string): boolean {
  return TEXT.test(text);
}

/** The hash under which a token is known, see {@link TOKEN}. */
export function tokenHash(text: string): string {
  return hash('sha256', text, 'hex');
}

/** The id of the token with this hash. */
export function tokenId(tokenHash: string): string {
  return tokenHash.slice(0, ID_LENGTH);
}

/** Whether a token is accepted at a moment, in ms since 1970. */
export function isAccepted({ expiresAt, revokedAt }: Token, nowMs: number): boolean {
  return revokedAt === null && (expiresAt === null || Date.parse(expiresAt) > nowMs);
}
