import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { startPds } from '../../infra/local/atproto/pds.ts';
import { startPlc } from '../../infra/local/atproto/plc.ts';
import { startKms } from '../../infra/local/aws/kms.ts';
import { startSqs } from '../../infra/local/aws/sqs.ts';
import { startPostgres } from '../../infra/local/postgres/postgres.ts';
import { connect } from '../../lib/db/connect.ts';
import { migrate } from '../../lib/db/migrate.ts';
import { findIdentityByHost } from '../../lib/identity/hostnames.ts';
import { serveAtprotoDid, serveDidJson } from '../../lib/identity/serve.ts';

export const DOMAIN = 'pnptv.test';
const ROLE_PASSWORD = 'only-on-this-loopback-for-this-run';

/**
 * The real parts that both sides of a comparison stand on: PostgreSQL (with fsync), PDS, PLC directory, SQS and KMS.
 * The hosts of members are answered by our own queries, those of the yardstick from memory.
 */
export async function layGround() {
  const parent = await mkdtemp(path.join(tmpdir(), 'pds-bench-'));
  await chmod(parent, 0o755); // PostgreSQL may run as somebody else, who has to get here
  const ends: (() => Promise<unknown>)[] = [() => rm(parent, { recursive: true, force: true })];
  const end = async () => {
    for (const stop of ends.reverse()) await stop();
  };
  try {
    const database = await startPostgres({ dir: path.join(parent, 'postgres') });
    ends.push(() => database.stop());
    const makeDatabase = async (name: string) => {
      const superuser = postgres(database.url, { max: 1, onnotice: () => {} });
      await superuser`CREATE DATABASE ${superuser(name)}`;
      await superuser.end();
      const urlOf = (username?: string) => {
        const url = new URL(database.url);
        Object.assign(url, { pathname: `/${name}`, ...(username && { username, password: ROLE_PASSWORD }) });
        return url.href;
      };
      const directory = path.resolve(import.meta.dirname, '../../migrations');
      const rolePasswords = { api: ROLE_PASSWORD, worker: ROLE_PASSWORD };
      await migrate({ ownerUrl: urlOf(), directory, rolePasswords });
      return urlOf;
    };
    const urlOf = await makeDatabase('bench');

    const sql = connect(urlOf('pds_api'), { max: 4 });
    ends.push(() => sql.end());
    const bare = new Map<string, string>();
    const gateway = createServer(async ({ headers: { host }, url }, response) => {
      const inMemory = bare.get(`${host}${url}`);
      if (inMemory !== undefined) return response.end(inMemory);
      const serve = url === '/.well-known/did.json' ? serveDidJson : serveAtprotoDid;
      try {
        const { body, contentType } = serve(await findIdentityByHost(sql, host), new Date());
        response.setHeader('content-type', contentType).end(body);
      } catch {
        response.writeHead(404).end();
      }
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => gateway.once('listening', resolve));
    ends.push(async () => {
      gateway.close();
      gateway.closeAllConnections();
    });
    const gatewayUrl = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;

    const plc = await startPlc();
    ends.push(() => plc.stop());
    const dir = path.join(parent, 'pds');
    const pds = await startPds({ dir, plcUrl: plc.url, gatewayUrl, domain: DOMAIN });
    ends.push(() => pds.stop());
    const kms = await startKms();
    ends.push(() => kms.stop());
    const sqs = await startSqs();
    ends.push(() => sqs.stop());

    return {
      apiUrl: urlOf('pds_api'),
      workerUrl: urlOf('pds_worker'),
      /** Another database with the whole schema; without a name the URL is its owner's. */
      makeDatabase,
      pds,
      kms,
      sqs,
      hosts: { publish: (host: string, body: string) => void bare.set(host, body) },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

export type Ground = Awaited<ReturnType<typeof layGround>>;
