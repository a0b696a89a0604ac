import { storeContract } from '../contract/store.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';

storeContract('SqliteStore', openSqliteStore);
