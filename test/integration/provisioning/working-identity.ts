import { expect } from 'vitest';
import { verifyMember } from '../../../lib/audit/verify.ts';
import { checkAccountStatus, getRepoStatus } from '../../../lib/pds/client/accounts.ts';
import { createSession, refreshSession } from '../../../lib/pds/client/sessions.ts';
import { connectionTo } from '../../../lib/pds/provider.ts';
import type { Identity } from '../../../lib/provisioning/identity.ts';
import { openFromMapping, type SealedColumn } from '../../../lib/provisioning/secrets.ts';
import { type Bench, identityOf, type Stage } from './stage.ts';

/** Proves what a member was promised: one live DID, credentials that open it, and a log that verifies. */
export async function expectWorkingIdentity(stage: Stage, bench: Bench, userId: string): Promise<Identity> {
  const identity = await identityOf(bench, userId);
  expect(identity).toMatchObject({
    status: 'active',
    provisioning_step: 'secured',
    bootstrap_key_sealed: null,
    lease_until: null,
    error_code: null,
  });
  const { pds_did } = identity;
  if (pds_did === null) throw new Error('no DID');
  const [provider] = bench.deps.providers;
  if (!provider) throw new Error('no provider');
  const pds = connectionTo(
    { fetch, now: () => new Date() },
    { ...provider, endpoint: stage.pds.url },
    10_000,
  );

  const session = await createSession(pds, {
    did: pds_did,
    password: await opened(bench, identity, 'account_password_sealed'),
  });
  await refreshSession(pds, await opened(bench, identity, 'pds_refresh_token'));
  expect(await checkAccountStatus(pds, session.accessJwt)).toMatchObject({ activated: true, validDid: true });
  expect(await checkAccountStatus(pds, await opened(bench, identity, 'pds_access_token'))).toBeTruthy();
  expect(await getRepoStatus(pds, pds_did)).toMatchObject({ active: true });

  const names = await bench.sql`
    SELECT kind, hostname, did FROM hostnames WHERE user_id = ${userId} AND kind <> 'reserved' ORDER BY kind`;
  const { did_method } = identity;
  expect([...names]).toEqual([
    ...(did_method === 'web'
      ? [{ kind: 'did', hostname: pds_did.slice('did:web:'.length), did: pds_did }]
      : []),
    { kind: 'handle', hostname: identity.pds_handle, did: pds_did },
  ]);
  expect(await verifyMember(bench.sql, identity.pnptv_uuid)).toMatchObject({ intact: true });
  const created = await bench.sql`
    SELECT count(*) FILTER (WHERE action = 'created') AS created, count(*) FILTER (WHERE action = 'backup_created') AS backups
    FROM pds_provisioning_log WHERE pnptv_uuid = ${identity.pnptv_uuid}`;
  expect([...created]).toEqual([{ created: 1, backups: 1 }]);
  return identity;
}

export async function opened({ deps }: Bench, identity: Identity, column: SealedColumn): Promise<string> {
  return Buffer.from(await openFromMapping(deps.vault, identity, column, identity[column] ?? '')).toString(
    'utf8',
  );
}
