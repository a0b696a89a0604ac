import { expect, it } from 'vitest';
import { describeWith } from '../support/servers/describe-with.ts';
import { proveDrRestore } from './dr-restore.ts';

for (const server of ['postgres', 'mariadb'] as const) {
  describeWith(
    server,
    'a restore',
    () => {
      it('comes to an equal database however often it or the server is killed', async () => {
        const report = await proveDrRestore({ server, rounds: 8 });
        expect(report).toMatchObject({ tool: 6, server: 2 });
      });
    },
    { killable: true },
  );
}
