import type { Did } from '../../brands.ts';
import { apiError } from '../../http/error-codes.ts';
import { publicK256Key, publicMemberKey } from '../../identity/keys.ts';
import { createSession, type PdsSession } from '../../pds/client/sessions.ts';
import { proveSession } from '../../pds/prove-session.ts';
import { connectionTo } from '../../pds/provider.ts';
import { providerOf, readProviderState } from '../../pds/providers.ts';
import { pdsUnavailable } from '../../pds/unavailable.ts';
import { isRejection, XrpcError } from '../../pds/xrpc-error.ts';
import { openFromMapping } from '../../provisioning/secrets.ts';
import { openSecret } from '../../vault/secrets.ts';
import type { Vault } from '../../vault/vault.ts';
import { backupPlace } from './backup.ts';
import type { SealedBackup } from './backups.ts';
import { credentialBundle, isUnreadable } from './bundle.ts';
import type { SessionDeps } from './in-session.ts';

export type ProofDeps = SessionDeps;
/** The identity that a backup must be of. */
export type Holder = {
  user_id: string;
  pds_did: Did;
  provider_id: string;
  public_keys: readonly string[];
  credential_version: number;
  /** Of a did:plc. */
  rotation_key_sealed: string | null;
  rotation_public_key: string | null;
};
/** Credentials that work, and the session that showed it. */
export type Proven = {
  publicKey: string;
  privateKey: Uint8Array;
  rotationKey: Uint8Array | undefined;
  password: string;
  session: PdsSession;
};

/** With the waiting for KMS and for a worker it stays below the 29 s of ours. */
const PDS_TIMEOUT_MS = 8_000;
const KEY_BYTES = 32;

/**
 * Opens a backup and proves what it holds: its key is one of those that stand in the member's document, also one that
 * retires, and his PDS, the one where he is now, opens a session of his DID for its password. Of a did:plc comes with it
 * our rotation key: its own, or, where that was rotated since, the present one. Throws `BACKUP_REJECTED` (409) when one of
 * them is not so, and `UNAVAILABLE` (503) when the PDS did not say. What may be left of an unheard answer is one session
 * more at the PDS.
 */
export async function proveBackup(deps: ProofDeps, holder: Holder, backup: SealedBackup): Promise<Proven> {
  const opened = await openSecret(deps.vault, backupPlace(holder.user_id, backup.id), backup);
  const { success, data: bundle } = credentialBundle.safeParse(JSON.parse(Buffer.from(opened).toString()));
  opened.fill(0);
  if (!success || bundle.did !== holder.pds_did) throw apiError('BACKUP_REJECTED');
  const privateKey = readKey(bundle.member_key.private_key);
  const publicKey = publicMemberKey(privateKey);
  if (!holder.public_keys.includes(publicKey)) throw apiError('BACKUP_REJECTED');
  const rotationKey = await presentRotationKey(deps.vault, holder, bundle.rotation_key?.private_key);
  const { password } = bundle.account;
  const session = await openSession(deps, holder, password);
  return { publicKey, privateKey, rotationKey, password, session };
}

/** Our rotation key of the DID: what may need to be restored is that it opens. A key that was rotated is good for nothing. */
async function presentRotationKey(
  vault: Vault,
  holder: Holder,
  kept: string | undefined,
): Promise<Uint8Array | undefined> {
  const { rotation_public_key: present, rotation_key_sealed: sealed } = holder;
  if ((present === null) !== (kept === undefined)) throw apiError('BACKUP_REJECTED');
  if (present === null || kept === undefined) return undefined;
  const rotationKey = readKey(kept);
  if (publicK256Key(rotationKey) === present) return rotationKey;
  rotationKey.fill(0);
  const stored = await openFromMapping(vault, holder, 'rotation_key_sealed', sealed ?? '').catch((cause) => {
    throw isUnreadable(cause) ? apiError('BACKUP_REJECTED', { cause }) : cause;
  });
  if (publicK256Key(stored) !== present) throw apiError('BACKUP_REJECTED');
  return stored;
}

function readKey(base64url: string): Uint8Array {
  const key = Uint8Array.from(Buffer.from(base64url, 'base64url'));
  if (key.length !== KEY_BYTES) throw apiError('BACKUP_REJECTED');
  return key;
}

async function openSession(deps: ProofDeps, holder: Holder, password: string): Promise<PdsSession> {
  const { sql, providers, now, pdsTimeoutMs = PDS_TIMEOUT_MS } = deps;
  const { pds_did, provider_id } = holder;
  const provider = providerOf(providers, await readProviderState(sql, provider_id));
  try {
    const pds = connectionTo(deps, provider, pdsTimeoutMs);
    const session = await createSession(pds, { did: pds_did, password });
    if (session.did !== pds_did) throw apiError('BACKUP_REJECTED');
    return proveSession(pds, pds_did, 'createSession', session);
  } catch (cause) {
    if (isRejection(cause)) throw apiError('BACKUP_REJECTED', { cause });
    if (!(cause instanceof XrpcError)) throw cause;
    throw pdsUnavailable(cause, now());
  }
}
