import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import { newMemberKey } from '../../../../lib/identity/keys.ts';
import { recoverByCancelling, recoverByHandOver } from '../../../../lib/lifecycle/hand-over/recover.ts';
import { makeRecoveryKey } from '../../../../lib/lifecycle/recovery-key/make.ts';
import { checkProof } from '../../../../lib/lifecycle/recovery-key/proof.ts';
import {
  cancelStatement,
  handOverStatement,
  keyStatement,
} from '../../../../lib/lifecycle/recovery-key/words.ts';
import { p256 } from '../../../unit/identity/plc/judge.ts';
import { HOUR, openDeskAlone } from '../hand-over/desk.ts';
import { type Leaver, newRecoveryKey, type RecoveryKeyPair } from '../hand-over/leaver.ts';

const run = promisify(execFile);
const code = (name: string) => expect.objectContaining({ code: name });
const NOTICE = 72 * HOUR;

let desk: Awaited<ReturnType<typeof openDeskAlone>>;
let member: Leaver;
let mine: RecoveryKeyPair;
let other: RecoveryKeyPair;
beforeAll(async () => {
  desk = await openDeskAlone();
});
afterAll(() => desk.close());
beforeEach(async () => {
  [member, mine, other] = [await desk.member(), await newRecoveryKey(), await newRecoveryKey()];
});

async function story() {
  const rows = await desk.db<{ pnptv_uuid: string; entry: string }[]>`
    SELECT pnptv_uuid, concat_ws(' ', action, status) AS entry FROM pds_provisioning_log
    WHERE user_id = ${member.userId} ORDER BY seq`;
  if (rows[0]) expect(await verifyMember(desk.db, rows[0].pnptv_uuid)).toMatchObject({ intact: true });
  return rows.map(({ entry }) => entry);
}
const unspent = async () =>
  (await desk.db`SELECT FROM step_ups WHERE user_id = ${member.userId} AND used_at IS NULL`).count;
/** Registered, and its 72 hours are over. */
async function trusted(key = mine) {
  await desk.setKey(member, key);
  await desk.pass(NOTICE);
  return key;
}

describe('the recovery key of a did:web', () => {
  it('counts at once when it is the first, is trusted 72 hours later, and registered twice changes nothing', async () => {
    const first = await desk.setKey(member, mine);
    expect(first).toMatchObject({ changed: true, recovery_key: mine.did, next: null, rotation_keys: null });
    expect(Date.parse(first.trusted_at ?? '') - Date.now()).toBeGreaterThan(NOTICE - HOUR);
    expect(await desk.setKey(member, mine)).toEqual({ ...first, changed: false });
    expect([await desk.told(member), await story(), await unspent()]).toEqual([
      ['recovery_key'],
      ['recovery_key_changed success'],
      0,
    ]);
  });

  it('gives way at once to one that it confirms, which is trusted as it was', async () => {
    const before = await desk.setKey(member, mine);
    const after = await desk.setKey(member, other, mine);
    expect(after).toMatchObject({ recovery_key: other.did, trusted_at: before.trusted_at, next: null });
    await expect(desk.setKey(member, mine, await newRecoveryKey())).rejects.toEqual(
      code('RECOVERY_KEY_NOT_CONFIRMED'),
    );
    expect(await unspent()).toBe(1);
  });

  it('gives way to one that it does not confirm after 72 hours', async () => {
    await trusted();
    const asked = await desk.setKey(member, other);
    expect(asked).toMatchObject({ recovery_key: mine.did, next: { recovery_key: other.did } });
    expect(await desk.setKey(member, other)).toEqual({ ...asked, changed: false });
    await desk.pass(NOTICE);
    expect(await desk.setKey(member, other)).toMatchObject({ changed: false, recovery_key: other.did });
  });

  it.each<[string, () => Promise<unknown>]>([
    ['itself, with nothing but a signature', () => desk.recoverCancel(member, mine)],
    ['the member, who takes the other one away', () => desk.removeKey(member, other)],
    ['the member, who sends it again', () => desk.setKey(member, mine)],
  ])('stays when that is stopped by %s', async (_, stop) => {
    await trusted();
    await desk.setKey(member, other);
    await stop();
    await desk.pass(NOTICE);
    expect(await desk.setKey(member, mine)).toMatchObject({ changed: false, recovery_key: mine.did });
    expect((await desk.told(member)).length).toBe(3);
  });

  it('is taken away at once while it is not trusted, later after 72 hours, and only by its name', async () => {
    await desk.setKey(member, mine);
    await expect(desk.removeKey(member, other)).rejects.toEqual(code('RECOVERY_KEY_NOT_FOUND'));
    expect(await desk.removeKey(member, mine)).toMatchObject({ recovery_key: null, next: null });
    await expect(desk.removeKey(member, mine)).rejects.toEqual(code('RECOVERY_KEY_NOT_FOUND'));
    await trusted();
    const going = { recovery_key: mine.did, next: { recovery_key: null } };
    expect(await desk.removeKey(member, mine)).toMatchObject({ ...going, changed: true });
    expect(await desk.removeKey(member, mine)).toMatchObject({ ...going, changed: false });
    await desk.pass(NOTICE);
    await expect(desk.recoverCancel(member, mine)).rejects.toEqual(code('RECOVERY_SIGNATURE_INVALID'));
  });

  it('is made for who has no tool, shown once and stored nowhere', async () => {
    const { private_key, public_key, signature } = await makeRecoveryKey(desk.deps, member.userId);
    checkProof(member.did, { publicKey: public_key, signature }, { ours: undefined });
    const everything = await desk.db`
      SELECT t::text AS text FROM user_pds_mapping t UNION ALL SELECT t::text FROM pds_recovery_keys t
      UNION ALL SELECT t::text FROM pds_provisioning_log t`;
    expect(JSON.stringify(everything)).not.toContain(private_key);
    expect(await story()).toEqual([]);
  });

  it('is made by our command, which signs with it whatever it is for', async () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'recovery-key-'));
    const script = path.resolve(import.meta.dirname, '../../../../infra/local/recovery-key.ts');
    const command = async (file: string, ...options: string[]) =>
      JSON.parse(
        (await run(process.execPath, [script, path.join(dir, file), member.did, ...options])).stdout,
      );
    const made = await command('mine');
    checkProof(member.did, { publicKey: made.public_key, signature: made.signature }, { ours: undefined });
    expect(readFileSync(path.join(dir, 'mine'), 'utf8')).toMatch(/^[0-9a-f]{64}\n$/);
    await desk.db`
      INSERT INTO pds_recovery_keys (user_id, did_key, trusted_at) VALUES (${member.userId}, ${made.public_key}, now())`;
    const to = ['--hand-over', 'https://pds.elsewhere.example', '--atproto-key', other.did];
    const [leave, stay] = await Promise.all([command('mine', ...to), command('mine', '--cancel')]);
    const { change_id } = await recoverByHandOver(desk.deps, leave);
    expect(await recoverByCancelling(desk.deps, stay)).toMatchObject({ cancelled_change_id: change_id });
    rmSync(dir, { recursive: true });
  });
});

describe('a recovery key is refused', () => {
  const proof = async (key: RecoveryKeyPair, text = keyStatement(member.did, key.did)) => ({
    publicKey: key.did,
    signature: await key.sign(text),
  });
  const check = (given: { publicKey: string; signature: string }) =>
    checkProof(member.did, given, { ours: undefined });

  it('of the wrong curve, or no point of one', async () => {
    const { signature } = await proof(mine);
    for (const publicKey of [`did:key:${newMemberKey().publicKeyMultibase}`, `${mine.did}x`])
      expect(() => check({ publicKey, signature })).toThrow(code('RECOVERY_KEY_INVALID'));
    const p = await p256();
    const signed = await p.sign(new TextEncoder().encode(keyStatement(member.did, p.did())));
    check({ publicKey: p.did(), signature: Buffer.from(signed).toString('base64url') });
  });

  it.each<[string, () => string]>([
    ['another DID', () => keyStatement('did:web:mallory-abc234.pnptv.test', mine.did)],
    ['another key', () => keyStatement(member.did, other.did)],
    ['another purpose', () => cancelStatement(member.did, mine.did)],
    ['the DID alone', () => member.did],
  ])('with a signature over %s', async (_, text) => {
    const given = await proof(mine, text());
    expect(() => check(given)).toThrow(code('RECOVERY_KEY_NOT_PROVEN'));
  });
});

describe('a request that a recovery key signs is refused', () => {
  const to = () => ({
    endpoint: 'https://pds.elsewhere.example',
    atprotoKey: other.did,
    handle: null,
    rotationKeys: [],
  });

  it('of a DID without one, of one that is not here, and by any other key, in the same words', async () => {
    const refused = code('RECOVERY_SIGNATURE_INVALID');
    await expect(desk.recover(member, mine, to())).rejects.toEqual(refused);
    await trusted();
    await expect(desk.recover(member, other, to())).rejects.toEqual(refused);
    const stranger = { ...member, did: 'did:web:nobody-abc234.pnptv.test' as typeof member.did };
    await expect(desk.recoverCancel(stranger, mine)).rejects.toEqual(refused);
  });

  it('a second time, over 5 minutes later, from the future, and with anything changed in it', async () => {
    await trusted();
    const issued = new Date();
    await desk.recover(member, mine, to(), issued);
    await expect(desk.recover(member, mine, to(), issued)).rejects.toEqual(code('SIGNATURE_REPLAYED'));
    for (const shift of [-6 * 60_000, 6 * 60_000])
      await expect(desk.recoverCancel(member, mine, new Date(Date.now() + shift))).rejects.toEqual(
        code('RECOVERY_SIGNATURE_EXPIRED'),
      );
    const issued_at = new Date().toISOString();
    const signature = await mine.sign(handOverStatement(member.did, to(), issued_at));
    const body = { did: member.did, issued_at, signature, endpoint: to().endpoint, atproto_key: other.did };
    for (const changed of [
      { endpoint: 'https://pds.evil.example' },
      { atproto_key: mine.did },
      { handle: 'mallory.example' },
      { issued_at: new Date(Date.now() + 1).toISOString() },
    ])
      await expect(recoverByHandOver(desk.deps, { ...body, ...changed })).rejects.toEqual(
        code('RECOVERY_SIGNATURE_INVALID'),
      );
  });
});

describe('who beats whom', () => {
  const to = (host = 'elsewhere') => ({
    endpoint: `https://pds.${host}.example`,
    atprotoKey: other.did,
    handle: null,
    rotationKeys: [],
  });

  it('what the session asked for, the session takes back, or the key', async () => {
    await trusted();
    const first = await desk.handOver(member, to());
    expect(await desk.cancel(member, first.change_id)).toEqual({ cancelled: true });
    const second = await desk.handOver(member, to());
    expect(await desk.recoverCancel(member, mine)).toEqual({
      cancelled_change_id: second.change_id,
      kept_recovery_key: false,
    });
    await expect(desk.recoverCancel(member, mine)).rejects.toEqual(code('CHANGE_NOT_FOUND'));
  });

  it('what a trusted key asked for, only that takes back; it takes the place of what waits', async () => {
    await trusted();
    const blocking = await desk.handOver(member, to('thief'));
    const { change_id } = await desk.recover(member, mine, to());
    expect(await desk.change(blocking.change_id)).toMatchObject({ outcome: 'cancelled' });
    expect(await desk.recover(member, mine, to())).toMatchObject({ change_id });
    await expect(desk.cancel(member, change_id)).rejects.toEqual(code('CHANGE_OF_RECOVERY_KEY'));
    await expect(desk.setKey(member, other)).rejects.toEqual(code('CHANGE_IN_PROGRESS'));
    await expect(desk.removeKey(member, mine)).rejects.toEqual(code('CHANGE_IN_PROGRESS'));
    await expect(desk.handOver(member, to('thief'))).rejects.toEqual(code('CHANGE_IN_PROGRESS'));
    expect(await desk.recoverCancel(member, mine)).toMatchObject({ cancelled_change_id: change_id });
  });

  it('session and key together shut out who has stolen the key', async () => {
    await trusted();
    const { change_id } = await desk.recover(member, mine, to('thief'));
    await desk.setKey(member, other, mine);
    await expect(desk.recoverCancel(member, mine)).rejects.toEqual(code('RECOVERY_SIGNATURE_INVALID'));
    expect(await desk.recoverCancel(member, other)).toMatchObject({ cancelled_change_id: change_id });
  });

  it('a key stays although whoever has the session has begun what nobody takes back', async () => {
    await trusted();
    await desk.setKey(member, other);
    const { change_id } = await desk.handOver(member, to('thief'));
    await desk.db`UPDATE pds_changes SET step = 'closing_old_account' WHERE id = ${change_id}`;
    expect(await desk.recoverCancel(member, mine)).toEqual({
      cancelled_change_id: null,
      kept_recovery_key: true,
    });
    await expect(desk.recoverCancel(member, mine)).rejects.toEqual(code('CHANGE_NOT_CANCELLABLE'));
    await desk.pass(NOTICE);
    await expect(desk.recoverCancel(member, other)).rejects.toEqual(code('RECOVERY_SIGNATURE_INVALID'));
  });

  it('what a key asked for that the session made just now, the session takes back', async () => {
    await desk.setKey(member, mine);
    const { change_id } = await desk.recover(member, mine, to());
    expect(await desk.cancel(member, change_id)).toEqual({ cancelled: true });
    expect(await desk.removeKey(member, mine)).toMatchObject({ recovery_key: null });
  });
});
