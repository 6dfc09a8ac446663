import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { memberHostFetch } from '../../infra/local/atproto/member-fetch.ts';
import { pdsAdmin } from '../../infra/local/atproto/pds.ts';
import { keepPdsSecrets } from '../../infra/local/atproto/pds-secrets.ts';
import { pdsDirectory, remotePdsDirectory } from '../../infra/local/servers.ts';
import { verifyMember } from '../../lib/audit/verify.ts';
import type { Did } from '../../lib/brands.ts';
import { getAccountInfo } from '../../lib/pds/client/admin.ts';
import { listRepos } from '../../lib/pds/client/server.ts';
import { openCredentials } from './open-credentials.ts';
import { proveIdentity } from './prove-identity.ts';
import type { RunningPlatform } from './running-platform.ts';

const AT_ONCE = 3;

type Mapping = {
  user_id: string;
  pnptv_uuid: string;
  pds_did: Did;
  pds_handle: string;
  pds_endpoint: string;
  status: string;
};

/** Proves everybody's identity with independent clients, and that his rows tell one story. */
export async function expectWorkingIdentities(
  running: RunningPlatform,
  userIds: readonly string[],
): Promise<void> {
  const { platform, sql } = running;
  const members = await sql<Mapping[]>`SELECT * FROM user_pds_mapping WHERE user_id IN ${sql(userIds)}`;
  expect(members.map(({ user_id }) => user_id).sort()).toEqual([...userIds].sort());
  const credentials = await openCredentials(
    platform.operator,
    members.map(({ pds_did }) => pds_did),
  );
  const { domain, url: gatewayUrl } = platform;
  const fetch = memberHostFetch({ domain, gatewayUrl, fetch: globalThis.fetch });
  const prove = async (member: Mapping) => {
    expect(member.status).toBe('active');
    const { pds_did: did, pds_handle: handle, pds_endpoint: endpoint } = member;
    const opened = credentials.get(did);
    if (!opened) throw new Error(`nothing is stored for ${did}`);
    const { checks } = await proveIdentity(
      { fetch, plcUrl: platform.plcUrl },
      { did, handle, endpoint },
      opened,
    );
    expect(Object.entries(checks).filter(([, holds]) => !holds)).toEqual([]);
    await expectOneStory(running, member);
  };
  // A few at a time: resolvers wait no longer than 3 s for an answer.
  const left = members.values();
  const proveSome = async () => {
    for (const member of left) await prove(member);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, proveSome));
}

/** One `created` and one automatic backup in a log that verifies; one name of each kind; no provisioning left open. */
async function expectOneStory({ sql }: RunningPlatform, member: Mapping): Promise<void> {
  const { user_id, pnptv_uuid, pds_did, pds_handle } = member;
  const log = await sql<{ action: string; count: number }[]>`
    SELECT action, count(*) FROM pds_provisioning_log WHERE user_id = ${user_id} GROUP BY action`;
  expect(Object.fromEntries(log.map(({ action, count }) => [action, count]))).toMatchObject({
    created: 1,
    backup_created: 1,
  });
  expect(await verifyMember(sql, pnptv_uuid)).toMatchObject({ intact: true });
  const names = await sql`
    SELECT kind, hostname, did, released_at FROM hostnames WHERE user_id = ${user_id} AND kind <> 'reserved' ORDER BY kind`;
  expect([...names]).toEqual([
    { kind: 'did', hostname: pds_did.slice('did:web:'.length), did: pds_did, released_at: null },
    { kind: 'handle', hostname: pds_handle, did: pds_did, released_at: null },
  ]);
  const open = await sql`
    SELECT id, status FROM pds_provisioning_queue
    WHERE user_id = ${user_id} AND action IN ('create', 'retry') AND status <> 'completed'`;
  expect([...open]).toEqual([]);
}

/** What a final reconciliation has counted, of one PDS. */
export type Reconciled = { provider: string; accounts: number; active: number; leftDeactivated: number };

/**
 * Holds every PDS itself against our table: exactly one active account for every member, at his provider, under his handle,
 * none twice, and no remains of one on its disk. What may be left over is only what the reconciler left deactivated,
 * because we may not delete there. Returns the figures.
 */
export async function expectNoDoublesNorOrphans(
  { platform, sql, dataDir }: RunningPlatform,
  pdsUrl = platform.pds.url,
): Promise<Reconciled[]> {
  const servers = [{ provider: 'local', url: pdsUrl, dir: pdsDirectory(dataDir) }];
  if (platform.remotePds) {
    const { url } = platform.remotePds;
    servers.push({ provider: `remote:${new URL(url).host}`, url, dir: remotePdsDirectory(dataDir) });
  }
  const figures: Reconciled[] = [];
  for (const server of servers) figures.push(await reconcileWith(sql, server));
  return figures;
}

async function reconcileWith(
  sql: RunningPlatform['sql'],
  { provider, url, dir }: { provider: string; url: string; dir: string },
): Promise<Reconciled> {
  const mapped = await sql<{ pds_did: Did; pds_handle: string }[]>`
    SELECT pds_did, pds_handle FROM user_pds_mapping WHERE pds_did IS NOT NULL AND provider_id = ${provider} ORDER BY pds_did`;
  const left = await sql<{ pds_did: Did }[]>`
    SELECT pds_did FROM pds_possible_orphans WHERE provider_id = ${provider} AND state = 'deactivated'`;
  const dids = mapped.map(({ pds_did }) => pds_did);
  const all = [...dids, ...left.map(({ pds_did }) => pds_did)].sort();

  const { adminPassword, rateLimitBypassKey } = keepPdsSecrets(path.join(dir, 'secrets.json'));
  const pds = pdsAdmin({ url, adminPassword, rateLimitBypassKey });
  const { repos } = await listRepos(pds, { limit: 1000 });
  expect(repos.map(({ did }) => did).sort()).toEqual(all);
  const active = repos.filter(({ active }) => active).map(({ did }) => did);
  expect(active.sort()).toEqual(dids);
  expect(await Promise.all(dids.map((did) => getAccountInfo(pds, did)))).toEqual(
    mapped.map(({ pds_handle }) => ({ handle: pds_handle })),
  );
  // <pds>/actors/<hash>/<did>
  const actors = path.join(dir, 'actors');
  const stores = (existsSync(actors) ? readdirSync(actors, { recursive: true, encoding: 'utf8' }) : [])
    .map((name) => path.basename(name))
    .filter((name) => name.startsWith('did:'));
  expect(stores.sort()).toEqual(all);
  return { provider, accounts: repos.length, active: active.length, leftDeactivated: left.length };
}
