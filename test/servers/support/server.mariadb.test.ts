import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { expect, it } from 'vitest';
import { describeWith } from '../../support/servers/describe-with.ts';
import { startMariadb } from '../../support/servers/mariadb.ts';
import { behavesAsServer } from './behaviour.ts';

const connect = (url: string) => createConnection(url.replace('mariadb:', 'mysql:'));

describeWith('mariadb', 'a MariaDB server of a test', () => {
  behavesAsServer(startMariadb, async ({ url }) => {
    const client = await connect(url);
    await client.query('CREATE TABLE IF NOT EXISTS numbers (number int)');
    return {
      add: (number) => client.execute('INSERT INTO numbers VALUES (?)', [number]),
      all: async () => {
        const [rows] = await client.query<RowDataPacket[]>('SELECT number FROM numbers');
        return rows.map((row) => row.number as number);
      },
      close: () => client.end(),
    };
  });

  it('creates databases', async () => {
    await using server = await startMariadb();
    const client = await connect(await server.createDatabase('of_one_test'));
    const [rows] = await client.query<RowDataPacket[]>('SELECT database() AS name');
    expect(rows).toEqual([{ name: 'of_one_test' }]);
    await client.end();
  });
});
