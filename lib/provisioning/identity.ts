import type { Did, Handle, Uuid } from '../brands.ts';
import type { JsonValue, Queryable } from '../db/connect.ts';
import type { HealthProblem } from '../pds/health-problems.ts';
import type { QueueAction, QueueId } from './queue/queue.ts';

/** Where the saga stands: the last step that is done and stored. */
export type Step =
  | 'requested'
  | 'reserved'
  | 'account_created'
  | 'identity_published'
  | 'activated'
  | 'secured';

/** A member's row in `user_pds_mapping`, as the worker that holds its lease knows it. */
export type Identity = {
  user_id: string;
  pnptv_uuid: Uuid;
  pds_did: Did | null;
  pds_handle: Handle | null;
  pds_endpoint: string | null;
  pds_public_key: string | null;
  pds_private_key_encrypted: string | null;
  pds_private_key_iv: string | null;
  pds_private_key_auth_tag: string | null;
  pds_access_token: string | null;
  pds_refresh_token: string | null;
  status: 'pending' | 'active' | 'error' | 'revoked';
  error_code: string | null;
  error_message: string | null;
  last_verified_at: Date | null;
  verification_status: 'accessible' | 'inaccessible' | 'unknown';
  provisioning_step: Step;
  /** Fencing token: every claim adds 1, and every later write names it. */
  epoch: number;
  lease_until: Date | null;
  provider_id: string | null;
  did_method: 'web' | 'plc';
  data_key_id: string | null;
  credential_version: number;
  account_email: string | null;
  account_password_sealed: string | null;
  bootstrap_key_sealed: string | null;
  /** Of a did:plc: the handle under which its account is born, and our rotation key. */
  service_handle: Handle | null;
  rotation_key_sealed: string | null;
  rotation_public_key: string | null;
  atproto_public_key: string | null;
  create_started_at: Date | null;
  document_settles_at: Date | null;
  /** When he was handed over to a PDS of his own choice. */
  left_at: Date | null;
  consecutive_failures: number;
  /** What stood in the way at the last check; null when nothing did. */
  health_problem: HealthProblem | null;
  /** When our credentials last opened the account. */
  credentials_checked_at: Date;
};

/** The claimed row of the queue. */
export type Work = {
  queueId: QueueId;
  action: QueueAction;
  attemptCount: number;
  maxAttempts: number;
};

/** Another worker has the member now: stop at once and quietly, and write nothing. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** What a worker may change of a member's row. */
export type IdentityChange = Partial<Omit<Identity, 'user_id' | 'pnptv_uuid' | 'epoch'>>;

/**
 * Changes the member's row as long as this worker's claim holds, in the database and in `identity`.
 * Throws LeaseLost, with nothing changed, when somebody claimed the member after us.
 */
export async function updateIdentity(
  sql: Queryable,
  identity: Identity,
  change: IdentityChange,
): Promise<void> {
  const updated = await sql`
    UPDATE user_pds_mapping SET ${sql(change)}
    WHERE user_id = ${identity.user_id} AND epoch = ${identity.epoch}`;
  if (updated.count === 0) throw new LeaseLost();
  Object.assign(identity, change);
}

export type ErrorDetails = { code: string; message: string; [name: string]: JsonValue };
