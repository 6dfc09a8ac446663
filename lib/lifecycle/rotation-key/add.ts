import { type AuditEntry, appendAudit } from '../../audit/append.ts';
import { expectStepUp, type StepUpNeed, useStepUp } from '../../auth/step-up.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { documentedCode } from '../../http/answer.ts';
import { apiError } from '../../http/error-codes.ts';
import { isSignedBy, readRotationKey } from '../../identity/plc/signature.ts';
import { backUpCredentials } from '../backup.ts';
import { type ChangeDeps, changeRotationKeys, type PlcOwner, withKeyOnTop } from './change.ts';
import { type RotationKeys, readLog, rotationKeysOf } from './show.ts';
import { statementFor } from './words.ts';

type Wish = { publicKey: string; signature: string; stepUp: StepUpNeed };

/**
 * Puts a key of the member's own at the top of the rotation keys of his did:plc, in the place of one that he had there
 * before, once his signature shows that he holds it. Before our key is opened, one transaction uses up the step-up,
 * writes a `recovery` backup and the intent into the audit log; what became of it follows.
 * A key that is at the top already stays there, and nothing is written: so whoever got no answer asks again.
 *
 * Throws `STEP_UP_REQUIRED`, `IDENTITY_NOT_READY`, `NO_ROTATION_KEYS`, `ROTATION_KEY_INVALID`,
 * `ROTATION_KEY_NOT_PROVEN`, and what `changeRotationKeys` throws.
 */
export async function addRotationKey(
  deps: ChangeDeps,
  { publicKey, signature, stepUp }: Wish,
): Promise<RotationKeys & { changed: boolean }> {
  const { sql, vault, directory, now } = deps;
  await expectStepUp(sql, stepUp);
  const owner = await readOwner(sql, stepUp.userId);
  const ours = `did:key:${owner.rotation_public_key}`;
  checkProof(owner, { ours, publicKey, signature });
  const before = await readLog(directory, owner.pds_did);
  if (withKeyOnTop(before, { ours, publicKey }) === undefined) {
    await sql.begin((tx) => useStepUp(tx, stepUp));
    return { ...rotationKeysOf(before, { ours, now: now() }), changed: false };
  }
  const note = (tx: Transaction, entry: Pick<AuditEntry, 'status' | 'errorCode'>) =>
    appendAudit(tx, {
      userId: owner.user_id,
      pnptvUuid: owner.pnptv_uuid,
      action: 'rotation_key_added',
      ...entry,
      details: { did_key: publicKey, session_id: stepUp.sessionId },
      createdBy: owner.user_id,
    });
  await sql.begin(async (tx) => {
    await useStepUp(tx, stepUp);
    await backUpCredentials({ tx, vault }, owner.user_id, 'recovery');
    await note(tx, { status: 'pending' });
  });
  const change = { owner, ours, publicKey, head: before.head };
  const after = await changeRotationKeys(deps, change).catch(async (error) => {
    await sql.begin((tx) => note(tx, { status: 'failed', errorCode: documentedCode(error) }));
    throw error;
  });
  await sql.begin((tx) => note(tx, { status: 'success' }));
  return { ...rotationKeysOf(after, { ours, now: now() }), changed: true };
}

async function readOwner(sql: Queryable, userId: string): Promise<PlcOwner> {
  const [row] = await sql<(PlcOwner & { did_method: 'web' | 'plc' })[]>`
    SELECT user_id, pnptv_uuid, pds_did, did_method, rotation_key_sealed, rotation_public_key, credential_version
    FROM user_pds_mapping WHERE user_id = ${userId} AND status = 'active'`;
  if (row === undefined) throw apiError('IDENTITY_NOT_READY');
  if (row.did_method === 'web') throw apiError('NO_ROTATION_KEYS');
  return row;
}

function checkProof(
  { pds_did }: PlcOwner,
  { ours, publicKey, signature }: { ours: string; publicKey: string; signature: string },
): void {
  if (readRotationKey(publicKey) === undefined || publicKey === ours) {
    throw apiError('ROTATION_KEY_INVALID', { fields: ['public_key'] });
  }
  const statement = new TextEncoder().encode(statementFor(pds_did, publicKey));
  if (!isSignedBy(publicKey, statement, signature)) {
    throw apiError('ROTATION_KEY_NOT_PROVEN', { fields: ['signature'] });
  }
}
