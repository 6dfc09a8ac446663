import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { ed25519 } from '@noble/curves/ed25519.js';
import { expect } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import type { Did } from '../../../../lib/brands.ts';
import type { DidDocument } from '../../../../lib/identity/document.ts';
import { encodeMultikey } from '../../../../lib/identity/multikey.ts';
import { readOpenChange } from '../../../../lib/lifecycle/changes/change.ts';
import { requestChange } from '../../../../lib/lifecycle/changes/request.ts';
import { openFromChange } from '../../../../lib/lifecycle/changes/sealed.ts';
import { backupPlace } from '../../../../lib/lifecycle/custody/backup.ts';
import { credentialBundle } from '../../../../lib/lifecycle/custody/bundle.ts';
import { getRepoStatus } from '../../../../lib/pds/client/accounts.ts';
import { createSession, refreshSession } from '../../../../lib/pds/client/sessions.ts';
import { connectionTo } from '../../../../lib/pds/provider.ts';
import type { Identity } from '../../../../lib/provisioning/identity.ts';
import { mappingPlace } from '../../../../lib/provisioning/secrets.ts';
import { openSecret } from '../../../../lib/vault/secrets.ts';
import { type Bench, identityOf, type Stage, workUntilOver } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';

/** A member with an identity, as the saga leaves it. */
export async function activeMember(bench: Bench): Promise<string> {
  const { userId, queueId } = await bench.member();
  await workUntilOver(bench, queueId);
  return userId;
}

/** Asks for a rotation as the member does, with his second factor behind him; returns the row of its work. */
export async function askForRotation(bench: Bench, userId: string): Promise<string> {
  const { queued } = await bench.sql.begin((tx) =>
    requestChange(tx, { userId, kind: 'rotate_keys', by: userId, now: bench.deps.now() }),
  );
  return queued ?? '';
}

/** What his document says, by way of the gateway that stands for our edge, and how long it may be kept. */
export async function servedDocument(stage: Stage, { pds_did }: Pick<Identity, 'pds_did'>) {
  const host = (pds_did ?? '').slice('did:web:'.length);
  return new Promise<{ document: DidDocument; cacheControl: string }>((resolve, reject) => {
    request(`${stage.gateway.url}/.well-known/did.json`, { headers: { host } }, async (response) => {
      const document = JSON.parse(await text(response));
      resolve({ document, cacheControl: String(response.headers['cache-control']) });
    })
      .on('error', reject)
      .end();
  });
}

export const methodsOf = ({ verificationMethod }: DidDocument) =>
  Object.fromEntries(
    verificationMethod.map(({ id, publicKeyMultibase }) => [id.split('#')[1], publicKeyMultibase]),
  );

/** The member's private key as it is stored, by its public half. */
export async function storedMemberKey({ deps }: Bench, identity: Identity): Promise<string> {
  const seed = await openSecret(deps.vault, mappingPlace(identity, 'pds_private_key_encrypted'), {
    body: identity.pds_private_key_encrypted ?? '',
    iv: identity.pds_private_key_iv ?? '',
    tag: identity.pds_private_key_auth_tag ?? '',
  });
  return encodeMultikey({ algorithm: 'ed25519', bytes: ed25519.getPublicKey(seed) });
}

/** The passwords of the account that are sealed: in his row, in a change under way, in his newest backups. */
export async function sealedPasswords(bench: Bench, userId: string): Promise<string[]> {
  const { sql, deps } = bench;
  const passwords = [await opened(bench, await identityOf(bench, userId), 'account_password_sealed')];
  const change = await readOpenChange(sql, userId);
  if (change?.sealed.account_password)
    passwords.push(
      Buffer.from(await openFromChange(deps.vault, change, 'account_password')).toString('utf8'),
    );
  const backups = await sql<{ id: number; body: string; iv: string; tag: string }[]>`
    SELECT id, backup_data_encrypted AS body, backup_iv AS iv, backup_auth_tag AS tag
    FROM pds_credential_backups WHERE user_id = ${userId} ORDER BY id DESC LIMIT 3`;
  for (const { id, ...sealed } of backups) {
    const bundle = await openSecret(deps.vault, backupPlace(userId, id), sealed);
    const { data } = credentialBundle.safeParse(JSON.parse(Buffer.from(bundle).toString()));
    if (data) passwords.push(data.account.password);
  }
  return passwords;
}

export function pdsOf(stage: Stage, bench: Bench) {
  const [provider] = bench.deps.providers;
  if (!provider) throw new Error('no provider');
  const endpoint = stage.pds.url;
  return connectionTo({ fetch, now: () => new Date() }, { ...provider, endpoint }, 10_000);
}

/** That one of the passwords which are sealed somewhere opens the account now. */
export async function expectKnownPassword(stage: Stage, bench: Bench, userId: string): Promise<void> {
  const { pds_did } = await identityOf(bench, userId);
  for (const password of new Set(await sealedPasswords(bench, userId))) {
    const opens = await createSession(pdsOf(stage, bench), { did: pds_did as Did, password }).then(
      () => true,
      () => false,
    );
    if (opens) return;
  }
  expect.unreachable('the PDS has a password that nobody has');
}

/** What a rotation leaves: everything works, is sealed anew, and the document shows the key that is stored. */
export async function expectRotated(stage: Stage, bench: Bench, before: Identity, rotations = 1) {
  const { user_id: userId } = before;
  const after = await identityOf(bench, userId);
  expect(after).toMatchObject({
    status: 'active',
    lease_until: null,
    credential_version: before.credential_version + rotations,
    pds_did: before.pds_did,
    pds_handle: before.pds_handle,
    atproto_public_key: before.atproto_public_key,
  });
  expect(after.pds_public_key).not.toBe(before.pds_public_key);
  expect(await storedMemberKey(bench, after)).toBe(after.pds_public_key);
  const pds = pdsOf(stage, bench);
  const did = after.pds_did as Did;
  const password = await opened(bench, after, 'account_password_sealed');
  await createSession(pds, { did, password });
  await refreshSession(pds, await opened(bench, after, 'pds_refresh_token'));
  expect(await getRepoStatus(pds, did)).toMatchObject({ active: true });
  const keys = await bench.sql<{ public_key_multibase: string; state: string; retire_at: Date | null }[]>`
    SELECT key_id, public_key_multibase, state, retire_at FROM pds_verification_keys WHERE user_id = ${userId} ORDER BY id`;
  expect(keys).toHaveLength(1 + rotations);
  expect(keys.at(-1)).toMatchObject({
    public_key_multibase: after.pds_public_key,
    state: 'active',
    retire_at: null,
  });
  expect(keys.at(-2)).toMatchObject({ public_key_multibase: before.pds_public_key, state: 'retiring' });
  const changes = await bench.sql`
    SELECT outcome, sealed FROM pds_changes WHERE user_id = ${userId} AND kind = 'rotate_keys'`;
  expect([...changes]).toEqual(Array.from({ length: rotations }, () => ({ outcome: 'done', sealed: {} })));
  expect(await verifyMember(bench.sql, after.pnptv_uuid)).toMatchObject({ intact: true });
  const [logged] = await bench.sql`
    SELECT count(*)::int FROM pds_provisioning_log
    WHERE user_id = ${userId} AND action = 'key_rotated' AND status = 'success'`;
  expect(logged).toEqual({ count: rotations });
  return { after, keys, password };
}
