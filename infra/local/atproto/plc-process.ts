import { createRequire } from 'node:module';
import { onLoopbackOnly, serveAsChild } from '../process/node-child.ts';
import type { PlcProcessInput } from './plc.ts';

serveAsChild<PlcProcessInput>(async ({ port, databaseUrl }) => {
  const { Database, PlcServer } = createRequire(import.meta.url)(
    '@did-plc/server',
  ) as typeof import('@did-plc/server');
  let db: import('@did-plc/server').PlcDatabase = Database.mock();
  if (databaseUrl) {
    const persistent = Database.postgres({ url: databaseUrl });
    await persistent.migrateToLatestOrThrow();
    db = persistent;
  }
  const plc = PlcServer.create({ db, port });
  onLoopbackOnly(plc.app);
  return { server: await plc.start(), stop: () => plc.destroy() };
});
