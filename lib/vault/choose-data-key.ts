import { randomUUID } from 'node:crypto';
import { AppError } from '../app-error.ts';
import { countMembers, insertDataKey, promoteNextDataKey, readActiveDataKeys } from './data-key-rows.ts';
import type { Vault } from './vault.ts';

/**
 * How many members share a data key: a target, not a limit. When all members are rotated each key costs three calls to
 * KMS, one to open it and two to make the one that takes its members, so this is what keeps that below one call for 400
 * members. A leaked data key opens what it sealed, but everybody's secrets are made anew and sealed under another one
 * every 90 days (PDS_KEY_ROTATION_DAYS): what it is worth does not last.
 */
export const MEMBERS_PER_KEY = 1_500;
/** The member at which the next data key is made. */
export const PREPARE_NEXT_AT = 1_350;
/** When making it failed, every tenth member tries again. */
const PREPARE_AGAIN_EVERY = 10;

/**
 * The id of the data key for a new member, or for as many as join it together. Makes the first one, makes the next one
 * ahead of need, and promotes it when the current one has its members; any number of processes may do this at once.
 *
 * When it returns, the key is open: sealing right afterwards, inside a transaction, needs neither KMS nor
 * another connection. Itself it must not be called inside a transaction: it talks to KMS, and it would wait
 * for ever for the second connection of a pool of one.
 */
export async function chooseDataKey(vault: Vault, joining = 1): Promise<string> {
  const { sql, environment } = vault;
  const { id, members } = await joinCurrent(vault, joining);
  // Each number is given to one caller only, so the crowd of a busy hour does not ask KMS for a crowd of keys.
  const triesBy = (member: number) => Math.floor((member - PREPARE_NEXT_AT) / PREPARE_AGAIN_EVERY);
  if (members >= PREPARE_NEXT_AT && triesBy(members) > triesBy(members - joining)) {
    const { next } = await readActiveDataKeys(sql, environment);
    if (!next) await makeDataKey(vault, 'next');
  }
  if (members >= MEMBERS_PER_KEY) await promoteNextDataKey(sql, environment, id);
  await vault.dataKeys.use(id, () => undefined);
  return id;
}

async function joinCurrent(vault: Vault, joining: number): Promise<{ id: string; members: number }> {
  // Twice for the first login of all; a third time for meeting a promotion on the way.
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    const current = await countMembers(vault.sql, vault.environment, joining);
    if (current) return current;
    const active = await readActiveDataKeys(vault.sql, vault.environment);
    if (!active.current) await makeDataKey(vault, 'current');
  }
  throw new AppError('DATA_KEY_CONTENDED', 'The current data key changed while it was chosen. Try again.', {
    status: 503,
    retryable: true,
  });
}

/**
 * Makes a data key and stores it, unless somebody was faster. It is opened once before it may seal anything, and is open
 * from then on.
 */
async function makeDataKey(vault: Vault, state: 'current' | 'next'): Promise<void> {
  const { sql, wrapper, environment } = vault;
  const id = randomUUID();
  const context = { environment, dataKeyId: id };
  const { plaintext, wrapped } = await wrapper.generateDataKey(context);
  const reopened = await wrapper.unwrap(wrapped, context);
  const opens = reopened !== undefined && Buffer.compare(reopened, plaintext) === 0;
  plaintext.fill(0);
  if (!opens) {
    reopened?.fill(0);
    throw new AppError('DATA_KEY_UNREADABLE', `A new data key does not open with ${wrapper.keyId}.`);
  }
  const row = { id, wrapped_key: wrapped, wrapper_key_id: wrapper.keyId, environment, state };
  if (await insertDataKey(sql, row)) vault.dataKeys.keep(id, reopened);
  else reopened.fill(0);
}
