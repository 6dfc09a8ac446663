import type { Did } from '../../brands.ts';
import type { PlcLog } from '../../identity/plc/log.ts';
import { PlcError } from '../../pds/plc/plc-error.ts';
import { readPlcLog } from '../../pds/plc/read-log.ts';
import { operate } from '../../provisioning/plc/operate.ts';
import { sideBySide } from '../sweep/side-by-side.ts';
import { isFree } from './due.ts';
import { settle } from './publish.ts';
import { isOver, noteRetired } from './retire.ts';
import type { RotateDueDeps } from './rotate-due.ts';

const CHUNK = 20;
const WIDTH = 4;

type Holder = {
  id: number;
  user_id: string;
  pnptv_uuid: string;
  epoch: number;
  pds_did: Did;
  rotation_key_sealed: string;
  rotation_public_key: string;
  credential_version: number;
};
type Key = { id: number; key_id: string; public_key_multibase: string };

/**
 * Takes keys whose grace period is over out of the documents of did:plcs: an operation each, signed by our rotation key.
 * Only when the log does not show them any more do they count as revoked. Stops at the first sign that the directory is
 * down: the next run goes on.
 */
export async function retirePlcKeys(deps: RotateDueDeps, deadline: Date): Promise<number> {
  const { now, log } = deps;
  let retired = 0;
  let isDown = false;
  while (!isDown && now() < deadline) {
    const holders = await claimHolders(deps);
    if (holders.length === 0) return retired;
    await sideBySide(holders, WIDTH, async (holder) => {
      try {
        if (isDown) await release(deps, holder);
        else retired += await retireOf(deps, holder);
      } catch (error) {
        isDown ||= error instanceof PlcError && error.directoryDown;
        log.warn('a key could not be taken out of a did:plc', { pnptv_uuid: holder.pnptv_uuid, error });
        await postpone(deps, holder);
      }
    });
  }
  return retired;
}

/** As `claim` does: the lease keeps others away, and with the new epoch everything fails that they still write. */
async function claimHolders({ sql, now, times }: RotateDueDeps): Promise<Holder[]> {
  const at = now();
  return sql<Holder[]>`
    WITH due AS (
      SELECT m.id FROM user_pds_mapping m
      WHERE m.did_method = 'plc' AND m.status = 'active' AND ${isFree(sql, at)} AND EXISTS (
        SELECT FROM pds_verification_keys k WHERE k.user_id = m.user_id AND ${isOver(sql, at)})
      ORDER BY m.id LIMIT ${CHUNK} FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE user_pds_mapping m SET epoch = epoch + 1, lease_until = ${new Date(at.getTime() + times.lease * 1000)}
    FROM due WHERE m.id = due.id
    RETURNING m.id, m.user_id, m.pnptv_uuid, m.epoch, m.pds_did, m.rotation_key_sealed, m.rotation_public_key,
      m.credential_version`;
}

async function retireOf(deps: RotateDueDeps, holder: Holder): Promise<number> {
  const { sql, fetch, outside, vault, now } = deps;
  const keys = await sql<Key[]>`
    SELECT k.id, k.key_id, k.public_key_multibase FROM pds_verification_keys k JOIN user_pds_mapping m USING (user_id)
    WHERE m.id = ${holder.id} AND ${isOver(sql, now())}`;
  const directory = { fetch, plcUrl: outside.plcUrl };
  let log = await readPlcLog(directory, holder.pds_did);
  const ours = `did:key:${holder.rotation_public_key}`;
  const isOurs = log.data?.rotationKeys.includes(ours) ?? false;
  if (isOurs && log.data && shows(log, keys)) {
    const data = { ...log.data, verificationMethods: without(log, keys) };
    await operate(vault, directory, { signer: holder, log, data });
    log = await readPlcLog(directory, holder.pds_did);
    if (shows(log, keys)) throw new PlcError('retire a key', 'refused');
  }
  await sql.begin(async (tx) => {
    const freed = await tx`
      UPDATE user_pds_mapping SET lease_until = NULL, ${settle(tx, now())}
      WHERE id = ${holder.id} AND epoch = ${holder.epoch}`;
    if (freed.count === 0) return;
    await tx`UPDATE pds_verification_keys SET state = 'revoked' WHERE id IN ${tx(keys.map(({ id }) => id))}`;
    // What the member alone may change now stays there, until he takes it out.
    const details = shows(log, keys) ? { still_in_document: true } : {};
    await noteRetired(
      tx,
      keys.map(({ key_id }) => ({ user_id: holder.user_id, pnptv_uuid: holder.pnptv_uuid, key_id })),
      details,
    );
  });
  return keys.length > 0 ? 1 : 0;
}

function shows({ data }: PlcLog, keys: readonly Key[]): boolean {
  return keys.some((key) => isMethod(data?.verificationMethods[key.key_id], key));
}

function without({ data }: PlcLog, keys: readonly Key[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data?.verificationMethods ?? {}).filter(
      ([id, didKey]) => !keys.some((key) => key.key_id === id && isMethod(didKey, key)),
    ),
  );
}

function isMethod(didKey: string | undefined, { public_key_multibase }: Key): boolean {
  return didKey === `did:key:${public_key_multibase}`;
}

async function release({ sql }: RotateDueDeps, { id, epoch }: Holder): Promise<void> {
  await sql`UPDATE user_pds_mapping SET lease_until = NULL WHERE id = ${id} AND epoch = ${epoch}`;
}

/** Gives the member free, and his old key an hour more. */
async function postpone({ sql, now }: RotateDueDeps, holder: Holder): Promise<void> {
  const later = new Date(now().getTime() + 3600_000);
  await sql.begin(async (tx) => {
    const freed = await tx`
      UPDATE user_pds_mapping SET lease_until = NULL WHERE id = ${holder.id} AND epoch = ${holder.epoch}`;
    if (freed.count === 0) return;
    await tx`
      UPDATE pds_verification_keys SET retire_at = ${later}
      WHERE user_id = ${holder.user_id} AND state = 'retiring' AND retire_at <= ${now()}`;
  });
}
