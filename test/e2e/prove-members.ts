import { readdirSync } from 'node:fs';
import path from 'node:path';
import { AtpAgent } from '@atproto/api';
import { expect } from 'vitest';
import { memberHostFetch } from '../../infra/local/atproto/member-fetch.ts';
import { keepPdsSecrets } from '../../infra/local/atproto/pds-secrets.ts';
import { verifyMember } from '../../lib/audit/verify.ts';
import type { Did } from '../../lib/brands.ts';
import { getAccountInfo } from '../../lib/pds/admin.ts';
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

/**
 * Holds the PDS itself against our table: exactly one active account for every member, under his handle, none twice,
 * none left over, and no remains of one on its disk.
 */
export async function expectNoDoublesNorOrphans(
  { platform, sql, dataDir }: RunningPlatform,
  pdsUrl = platform.pds.url,
): Promise<void> {
  const mapped = await sql<{ pds_did: Did; pds_handle: string }[]>`
    SELECT pds_did, pds_handle FROM user_pds_mapping WHERE pds_did IS NOT NULL ORDER BY pds_did`;
  const dids = mapped.map(({ pds_did }) => pds_did);

  const pdsDir = path.join(dataDir, 'pds');
  const { adminPassword } = keepPdsSecrets(path.join(pdsDir, 'secrets.json'));
  const pds = {
    fetch,
    now: () => new Date(),
    endpoint: pdsUrl,
    timeoutMs: 10_000,
    rateLimitBypassKey: undefined,
    adminPassword,
  };
  const agent = new AtpAgent({ service: pdsUrl });
  const { repos } = (await agent.com.atproto.sync.listRepos({ limit: 1000 })).data;
  expect(repos.map(({ did }) => did).sort()).toEqual(dids);
  expect(repos.filter(({ active }) => !active)).toEqual([]);
  expect(await Promise.all(dids.map((did) => getAccountInfo(pds, did)))).toEqual(
    mapped.map(({ pds_handle }) => ({ handle: pds_handle })),
  );
  // <pds>/actors/<hash>/<did>
  const stores = readdirSync(path.join(pdsDir, 'actors'), { recursive: true, encoding: 'utf8' })
    .map((name) => path.basename(name))
    .filter((name) => name.startsWith('did:'));
  expect(stores.sort()).toEqual(dids);
}
