import { AppError } from '../../app-error.ts';
import { appendAudit } from '../../audit/append.ts';
import { sayTo } from '../../auth/bot/tell-member.ts';
import { useUpSignature } from '../../auth/login/log-in.ts';
import type { Did } from '../../brands.ts';
import type { Queryable, Transaction } from '../../db/connect.ts';
import { apiError } from '../../http/error-codes.ts';
import type { PlcDirectory } from '../../pds/plc/directory.ts';
import { cancelIn } from '../changes/cancel.ts';
import { type Change, readOpenChange } from '../changes/change.ts';
import { holdRegisteredKey, readRegisteredKey, storeRegisteredKey } from '../recovery-key/key.ts';
import { isSigned } from '../recovery-key/proof.ts';
import { isTrusted, recoveryKeyNews } from '../recovery-key/register.ts';
import { cancelStatement, handOverStatement } from '../recovery-key/words.ts';
import { holderOf, readLog } from '../rotation-key/show.ts';
import { expectPds, findMissing, type HandOverDeps, type RequestedHandOver, writeDown } from './request.ts';
import { FRESH_MS } from './times.ts';
import { type DestinationBody, isSame, readDestination } from './wish.ts';

export type CancelDeps = Pick<HandOverDeps, 'sql' | 'now'> & { directory: PlcDirectory };
export type RecoverDeps = HandOverDeps & CancelDeps;
type Authority = { did: string; issued_at: string; signature: string };
type Holder = {
  user_id: string;
  pnptv_uuid: string;
  pds_did: Did;
  did_method: 'web' | 'plc';
  rotation_public_key: string | null;
};

/**
 * Asks for a member to be handed over, in 72 hours, by his recovery key alone. A change that is only waiting gives way,
 * and so does what was to take the key's place: nobody with the session alone can keep him here. Throws
 * `RECOVERY_SIGNATURE_EXPIRED`, `RECOVERY_SIGNATURE_INVALID`, `SIGNATURE_REPLAYED` (401), `PLC_UNAVAILABLE` (503), and
 * what `requestHandOver` throws.
 */
export async function recoverByHandOver(
  deps: RecoverDeps,
  { did, issued_at, signature, ...body }: Authority & DestinationBody,
): Promise<RequestedHandOver> {
  const destination = readDestination(deps.strangers, body);
  const statement = handOverStatement(did, destination, issued_at);
  const { key, holder } = await whoSigned(deps, { did, issued_at, signature }, statement);
  await expectPds(deps, destination);
  const missing = await findMissing(deps, holder.user_id, destination);
  return deps.sql.begin(async (tx) => {
    const now = deps.now();
    await useUpSignature(tx, statement, 'SIGNATURE_REPLAYED');
    const { trusted } = await keepKey(tx, holder, key, now);
    const wish = { ...destination, firm: trusted };
    const { user_id: userId } = holder;
    const open = await readOpenChange(tx, userId);
    if (open?.step === 'requested' && !isSame(open, wish))
      await cancelIn(tx, { userId, changeId: open.id, by: 'recovery_key' });
    const requested = await writeDown(tx, deps, { userId, by: 'recovery_key', wish, now });
    return { ...requested, missing };
  });
}

/**
 * Takes back, by the recovery key alone, a change that is still waiting, and what was to take the key's place: that also
 * beside a change that goes on, or whoever has the session need only begin one to be rid of the key. Throws as
 * `recoverByHandOver` does, `CHANGE_NOT_FOUND` (404) when there is neither, and `CHANGE_NOT_CANCELLABLE` (409).
 */
export async function recoverByCancelling(
  deps: CancelDeps,
  { did, issued_at, signature }: Authority,
): Promise<{ cancelled_change_id: number | null; kept_recovery_key: boolean }> {
  const statement = cancelStatement(did, issued_at);
  const { key, holder } = await whoSigned(deps, { did, issued_at, signature }, statement);
  return deps.sql.begin(async (tx) => {
    await useUpSignature(tx, statement, 'SIGNATURE_REPLAYED');
    const { kept } = await keepKey(tx, holder, key, deps.now());
    const open = await readOpenChange(tx, holder.user_id);
    if (!open && !kept) throw apiError('CHANGE_NOT_FOUND');
    const isTakenBack = open !== undefined && (await takeBack(tx, { open, kept }));
    return { cancelled_change_id: isTakenBack ? open.id : null, kept_recovery_key: kept };
  });
}

/** False for one that cannot be, when the key is kept all the same. */
async function takeBack(
  tx: Transaction,
  { open, kept }: { open: Pick<Change, 'id' | 'user_id'>; kept: boolean },
): Promise<boolean> {
  try {
    await cancelIn(tx, { userId: open.user_id, changeId: open.id, by: 'recovery_key' });
    return true;
  } catch (error) {
    if (kept && error instanceof AppError && error.code === 'CHANGE_NOT_CANCELLABLE') return false;
    throw error;
  }
}

/** Whose recovery key has signed this, and just now. A DID that is not ours is refused in the same words. */
async function whoSigned(
  { sql, directory, now }: CancelDeps,
  { did, issued_at, signature }: Authority,
  statement: string,
): Promise<{ key: string; holder: Holder }> {
  if (Math.abs(now().getTime() - Date.parse(issued_at)) > FRESH_MS)
    throw apiError('RECOVERY_SIGNATURE_EXPIRED');
  const [holder] = await sql<Holder[]>`
    SELECT user_id, pnptv_uuid, pds_did, did_method, rotation_public_key FROM user_pds_mapping
    WHERE pds_did = ${did} AND status IN ('active', 'revoked')`;
  const keys = holder ? await keysOf({ sql, directory, now }, holder) : [];
  const key = keys.find((one) => isSigned(one, statement, signature));
  if (holder === undefined || key === undefined) throw apiError('RECOVERY_SIGNATURE_INVALID');
  return { key, holder };
}

async function keysOf(
  { sql, directory, now }: { sql: Queryable; directory: PlcDirectory; now: () => Date },
  { user_id, pds_did, did_method, rotation_public_key }: Holder,
): Promise<readonly string[]> {
  if (did_method === 'web') {
    const { key } = await readRegisteredKey(sql, user_id, now());
    return key === null ? [] : [key];
  }
  const log = await readLog(directory, pds_did);
  const ours = `did:key:${rotation_public_key}`;
  const keys = log.data?.rotationKeys ?? [];
  const his = keys.filter((key) => holderOf(key, log, ours) === 'member');
  // Once ours is gone nobody can tell his from those of his new PDS, but that his come first.
  return keys.includes(ours) ? his : his.slice(0, 1);
}

/**
 * Whoever signs with the key wants it to stay: what was to take its place does not. Of a did:plc the directory says so,
 * and what its top key can do anyway is trusted at once.
 */
async function keepKey(
  tx: Transaction,
  { user_id, pnptv_uuid, did_method }: Holder,
  key: string,
  now: Date,
): Promise<{ trusted: boolean; kept: boolean }> {
  if (did_method === 'plc') return { trusted: true, kept: false };
  const held = await holdRegisteredKey(tx, user_id, now);
  if (held.key !== key) throw apiError('RECOVERY_SIGNATURE_INVALID');
  if (held.next === null) return { trusted: isTrusted(held, now), kept: false };
  await storeRegisteredKey(tx, user_id, { ...held, next: null });
  await sayTo(tx, user_id, recoveryKeyNews({ next: null }));
  await appendAudit(tx, {
    userId: user_id,
    pnptvUuid: pnptv_uuid,
    action: 'recovery_key_changed',
    status: 'success',
    details: { recovery_key: key, by_recovery_key: true },
    createdBy: user_id,
  });
  return { trusted: isTrusted(held, now), kept: true };
}
