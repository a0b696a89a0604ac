import { timingSafeEqual } from 'node:crypto';
import type { AccessRole } from '../config.ts';
import { HoldfastError } from '../errors.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { drawToken, isAccepted, isTokenText, type Token, tokenHash, tokenId } from './token.ts';
import type { TokenFiles } from './token-files.ts';

/** How often the files are looked at for what another process changed. With the server's own look a revocation is felt within a second. */
const LOOK_EVERY_MS = 400;
const WRITE_USES_EVERY_MS = 60_000;
/** Longest Authorization header that is looked at, in characters: a token has 46. */
const MAX_HEADER_LENGTH = 200;
const MAX_NAME_LENGTH = 100;

/** A token as the configuration holds it. */
export interface ConfiguredToken {
  readonly name: string;
  readonly hash: string;
  readonly roles: readonly AccessRole[];
  readonly expiresAt?: string | undefined;
}

/** A token as it is shown to an administrator. */
export interface TokenInfo extends Omit<Token, 'hash'> {
  /** Where it was made: `HERE`, `CONFIG`, or at the node that this one follows. */
  readonly origin: 'HERE' | 'CONFIG' | 'SOURCE';
  /** ISO 8601, about a minute behind; null when it was not used at this node. */
  readonly lastUsedAt: string | null;
}

export interface TokenRequest {
  /** Who will hold it; 1 to 100 characters. */
  readonly name: string;
  /** At least one. */
  readonly roles: readonly AccessRole[];
  /** ISO 8601, in the future; null: it does not expire. */
  readonly expiresAt: string | null;
}

/** The tokens of a node as its administrator handles them. */
export interface TokenService {
  list(): TokenInfo[];
  /** Makes a token; `secret` is told only now. It is on disk when this returns. @throws VALIDATION_FAILED, DATA_UNWRITABLE */
  create(request: TokenRequest): { readonly token: TokenInfo; readonly secret: string };
  /**
   * From now on the token is not accepted here, nor at replicas once they heard of it. Again: nothing changes.
   * @throws NOT_FOUND, DATA_UNWRITABLE
   */
  revoke(id: string): TokenInfo;
}

export interface AccessOptions {
  readonly files: TokenFiles;
  /** `auth.tokens`. */
  readonly configured: readonly ConfiguredToken[];
  /** Told once of each file that cannot be read (its token is not accepted), and of what else fails in the background. */
  readonly onError: (error: unknown) => void;
  readonly clock?: Clock | undefined;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: (() => number) | undefined;
}

/** Who was found behind a token. */
export interface Holder {
  /** The token's id. */
  readonly principal: string;
  readonly roles: readonly string[];
}

/**
 * The tokens that a node accepts: those made here, those of the configuration, and those of the node that it follows. One made
 * here wins over the others with its id, so that a token of the source can be revoked at a replica that has lost its source.
 */
export class Access implements TokenService, AsyncDisposable {
  readonly #files: TokenFiles;
  readonly #configured: readonly Token[];
  readonly #onError: (error: unknown) => void;
  readonly #clock: Clock;
  readonly #now: () => number;
  readonly #uses: Map<string, string>;
  readonly #listeners = new Set<() => void>();
  #timers: (() => void)[] = [];
  #source: readonly Token[];
  #tokens: ReadonlyMap<string, Known> = new Map();
  #used = false;
  /** Of what {@link AccessOptions.onError} was told already. */
  #told: ReadonlySet<string> = new Set();

  /** @throws CONFIG_INVALID when what the source told last cannot be read */
  constructor({ files, configured, onError, clock = systemClock, now = Date.now }: AccessOptions) {
    this.#files = files;
    this.#configured = configured.map(tokenOf);
    this.#onError = onError;
    this.#clock = clock;
    this.#now = now;
    this.#source = files.readSource();
    this.#uses = files.readUses();
    this.refresh();
  }

  /** Follows what other processes write into the directory, until {@link stop}. */
  run(): void {
    this.#timers = [
      this.#clock.every(LOOK_EVERY_MS, () => this.#look()),
      this.#clock.every(WRITE_USES_EVERY_MS, () => this.#writeUses()),
    ];
  }

  stop(): void {
    for (const end of this.#timers.splice(0)) end();
    this.#writeUses();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }

  /** Takes in what is on disk now. @throws the file system's error when the directory cannot be read */
  refresh(): void {
    const known = new Map<string, Known>();
    const add = (origin: TokenInfo['origin'], tokens: readonly Token[]): void => {
      for (const token of tokens) known.set(token.id, { token, origin, digest: Buffer.from(token.hash, 'hex') });
    };
    add('SOURCE', this.#source);
    add('CONFIG', this.#configured);
    const { tokens, broken } = this.#files.read();
    add('HERE', tokens);
    for (const { id } of broken) known.delete(id);
    this.#tell(broken.map(({ error }) => error));
    const changed = textOf(known) !== textOf(this.#tokens);
    this.#tokens = known;
    if (changed) for (const listener of this.#listeners) listener();
  }

  /**
   * The holder of the token in `headers.authorization`, over whatever way it came.
   * @throws UNAUTHENTICATED, the same for a token that is wrong, expired or revoked
   */
  authenticate({ headers }: { readonly headers: Readonly<Record<string, string>> }): Holder {
    const text = bearerOf(headers.authorization);
    const hash = tokenHash(text);
    const id = tokenId(hash);
    const known = this.#find(id);
    // The id is 64 bits of the hash and may be told by timing: of use only to who can invert SHA-256.
    const same = known !== undefined && timingSafeEqual(known.digest, Buffer.from(hash, 'hex'));
    const nowMs = this.#now();
    if (!same || !isAccepted(known.token, nowMs)) throw refused('the token is not accepted: wrong, expired or revoked');
    this.#uses.set(id, new Date(nowMs).toISOString());
    this.#used = true;
    return { principal: id, roles: known.token.roles };
  }

  /** Whether a holder found before would be found again, with the same roles. */
  isCurrent({ principal, roles }: Holder): boolean {
    const token = this.#tokens.get(principal)?.token;
    if (token === undefined || !isAccepted(token, this.#now())) return false;
    return token.roles.length === roles.length && token.roles.every((role) => roles.includes(role));
  }

  /** Whether there is any token that lets somebody in. */
  get isEmpty(): boolean {
    return this.accepted().length === 0;
  }

  /** Every token that is accepted now: what a replica is told. */
  accepted(): readonly Token[] {
    const nowMs = this.#now();
    return [...this.#tokens.values()].map(({ token }) => token).filter((token) => isAccepted(token, nowMs));
  }

  /** The accepted tokens now, and again after each change. Ends with the signal. */
  async *changes(signal: AbortSignal): AsyncGenerator<readonly Token[], void> {
    let wake = (): void => {};
    let fresh = true;
    const changed = (): void => {
      fresh = true;
      wake();
    };
    this.#listeners.add(changed);
    signal.addEventListener('abort', changed, { once: true });
    try {
      while (!signal.aborted) {
        if (fresh) {
          fresh = false;
          yield this.accepted();
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.#listeners.delete(changed);
      signal.removeEventListener('abort', changed);
    }
  }

  /** Takes the tokens of the node that this one follows in place of those it told before; kept over restarts. @throws DATA_UNWRITABLE */
  adopt(tokens: readonly Token[]): void {
    if (JSON.stringify(tokens) === JSON.stringify(this.#source)) return;
    this.#files.writeSource(tokens);
    this.#source = tokens;
    this.refresh();
  }

  list(): TokenInfo[] {
    this.refresh();
    const uses = new Map([...this.#files.readUses(), ...this.#uses]);
    return [...this.#tokens.values()].map((known) => infoOf(known, uses.get(known.token.id)));
  }

  create({ name, roles, expiresAt }: TokenRequest): { readonly token: TokenInfo; readonly secret: string } {
    if (name.trim() === '' || name.length > MAX_NAME_LENGTH) {
      throw invalid(`the name of a token must have 1 to ${MAX_NAME_LENGTH} characters`);
    }
    if (roles.length === 0) throw invalid('a token needs a role');
    const nowMs = this.#now();
    if (expiresAt !== null && !(Date.parse(expiresAt) > nowMs)) throw invalid('a token must expire in the future');
    const secret = drawToken();
    const hash = tokenHash(secret);
    const token: Token = {
      ...{ id: tokenId(hash), name, hash, roles: [...new Set(roles)] },
      ...{ createdAt: new Date(nowMs).toISOString(), expiresAt, revokedAt: null },
    };
    this.#files.write(token);
    this.refresh();
    return { token: { ...infoOf({ token, origin: 'HERE' }, undefined) }, secret };
  }

  revoke(id: string): TokenInfo {
    this.refresh();
    const known = this.#tokens.get(id);
    if (known === undefined) throw new HoldfastError('NOT_FOUND', `there is no token ${id.slice(0, 40)}`);
    if (known.token.revokedAt === null) {
      this.#files.write({ ...known.token, revokedAt: new Date(this.#now()).toISOString() });
      this.refresh();
    }
    return infoOf(this.#tokens.get(id) ?? known, this.#uses.get(id));
  }

  /** The token with this id, also one that another process made since the last look. */
  #find(id: string): Known | undefined {
    if (!this.#tokens.has(id) && this.#files.has(id)) this.#look();
    return this.#tokens.get(id);
  }

  #look(): void {
    try {
      if (this.#files.changed()) this.refresh();
    } catch (error) {
      this.#tell([error as Error]);
    }
  }

  #tell(errors: readonly Error[]): void {
    const before = this.#told;
    this.#told = new Set(errors.map(({ message }) => message));
    for (const error of errors) if (!before.has(error.message)) this.#onError(error);
  }

  #writeUses(): void {
    if (!this.#used) return;
    this.#used = false;
    try {
      this.#files.writeUses(this.#uses);
    } catch (error) {
      this.#onError(error);
    }
  }
}

interface Known {
  readonly token: Token;
  readonly origin: TokenInfo['origin'];
  /** The bytes of its hash. */
  readonly digest: Buffer;
}

/** The same for the same tokens. */
function textOf(known: ReadonlyMap<string, Known>): string {
  return JSON.stringify([...known.values()].map(({ token }) => token));
}

function tokenOf({ name, hash, roles, expiresAt = undefined }: ConfiguredToken): Token {
  const times = { createdAt: null, expiresAt: expiresAt ?? null, revokedAt: null };
  return { id: tokenId(hash), name, hash, roles: [...roles], ...times };
}

function infoOf({ token, origin }: Omit<Known, 'digest'>, lastUsedAt: string | undefined): TokenInfo {
  const { hash: _, ...shown } = token;
  return { ...shown, origin, lastUsedAt: lastUsedAt ?? null };
}

/** The token of an Authorization header. @throws UNAUTHENTICATED */
function bearerOf(header: string | undefined): string {
  if (header === undefined) throw refused('this needs a token: send `Authorization: Bearer hf_…`');
  const text = header.length > MAX_HEADER_LENGTH ? undefined : /^bearer +(\S+) *$/i.exec(header)?.[1];
  if (text === undefined || !isTokenText(text)) {
    throw refused('the Authorization header does not hold a token: send `Bearer hf_…`');
  }
  return text;
}

function refused(message: string): HoldfastError {
  return new HoldfastError('UNAUTHENTICATED', message);
}

function invalid(message: string): HoldfastError {
  return new HoldfastError('VALIDATION_FAILED', message);
}
