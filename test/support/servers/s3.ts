import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, it } from 'vitest';
import { cached, runTool } from './cache.ts';
import { findProgram, run } from './process.ts';
import { startServer, type TestServer } from './server.ts';

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const BUILD_TIMEOUT_MS = 600_000;
/** The server knows this account only, and tests give it to the SDK by the environment. */
const ACCOUNT = { AWS_ACCESS_KEY_ID: 'holdfast', AWS_SECRET_ACCESS_KEY: 'holdfast-secret' } as const;

/** An S3 server that keeps objects in a directory. */
export interface S3Server extends TestServer {
  /** Creates a bucket, of at least three letters, and returns its location, to which `/PREFIX` may not be added: see `locationOf`. */
  createBucket(name: string): Promise<void>;
  locationOf(bucket: string, prefix: string): string;
}

/** Starts versitygw, which is built once by Go. Sets the credentials of this process. */
export async function startS3(): Promise<S3Server> {
  const command = join(program(), 'versitygw');
  const server = await startServer(
    {
      kind: 's3',
      start: (port, directory) =>
        run({
          command,
          cwd: directory,
          args: [
            ...['--port', `127.0.0.1:${port}`, '--access', ACCOUNT.AWS_ACCESS_KEY_ID],
            ...['--secret', ACCOUNT.AWS_SECRET_ACCESS_KEY, '--health', '/health', 'posix', directory],
          ],
        }),
      isReady: async (_, port) => (await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined))?.ok === true,
      url: (port) => `http://127.0.0.1:${port}`,
    },
    {},
  );
  Object.assign(process.env, ACCOUNT);
  return Object.assign(server, {
    async createBucket(name: string) {
      const client = new S3Client({ endpoint: server.url, region: 'us-east-1', forcePathStyle: true });
      await client.send(new CreateBucketCommand({ Bucket: name }));
      client.destroy();
    },
    locationOf: (bucket: string, prefix: string) =>
      `s3://${bucket}/${prefix}?endpoint=${encodeURIComponent(server.url)}`,
  });
}

/** A `describe` for tests that need an S3 server; skipped where there is no Go to build one, unless CI=true. */
export function describeWithS3(name: string, block: () => void): void {
  if (findProgram('go') !== undefined || process.env.CI === 'true') describe(name, block);
  else describe(name, () => it.skip('no Go: install golang to build versitygw'));
}

function program(): string {
  return cached('versitygw', [MODULE], (directory) => {
    runTool('env', [`GOBIN=${directory}`, 'go', 'install', MODULE], { timeoutMs: BUILD_TIMEOUT_MS });
  });
}
