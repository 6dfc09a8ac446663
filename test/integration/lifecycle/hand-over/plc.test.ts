import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import { readPlcLog } from '../../../../lib/pds/plc/read-log.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { k256, plc as reference } from '../../../unit/identity/plc/judge.ts';
import { type Bench, identityOf, openBench } from '../../provisioning/stage.ts';
import { openTwoPds, type TwoPds } from '../../provisioning/two-pds.ts';
import { type Desk, HOUR, openDesk } from './desk.ts';
import { type Leaver, loggedIn, newLeaver, newRecoveryKey, openAccountAt, write } from './leaver.ts';

let plc: Plc;
let plcUrl: string;
let two: TwoPds;
let bench: Bench;
let desk: Desk;
beforeAll(async () => {
  plc = await startPlc();
  plcUrl = plc.url.replace('127.0.0.1', 'localhost'); // a PDS resolves no DID at an IP address
  two = await openTwoPds({ plcUrl });
  bench = await openBench(two, { times: TIMES.local });
  bench.deps.naming = { ...bench.deps.naming, didMethod: 'plc' };
  desk = await openDesk(bench);
});
afterAll(async () => {
  await desk.close();
  await bench.close();
  await two.close();
  await plc.stop();
});

async function someone() {
  const leaver = await newLeaver(bench);
  await desk.listen(leaver);
  const { key, rotationKeys } = await openAccountAt(two, leaver);
  const to = { endpoint: two.remote.url, atprotoKey: key, handle: null, rotationKeys };
  return { leaver, to, old: await loggedIn(two.pds.url, leaver) };
}
const dataOf = async ({ did }: Leaver) => (await readPlcLog({ fetch, plcUrl }, did)).data;
const due = async (...asked: Parameters<Desk['handOver']>) => {
  const { change_id } = await desk.handOver(...asked);
  await desk.pass(72 * HOUR);
  return change_id;
};

/** A network with a directory that takes no operation. */
const refusing = ((input: Parameters<typeof fetch>[0], init?: RequestInit) =>
  String(input).startsWith(plcUrl) && init?.method === 'POST'
    ? Promise.resolve(Response.json({ message: 'not that' }, { status: 400 }))
    : fetch(input, init)) as typeof fetch;

describe('who leaves with a did:plc', () => {
  it('has five rotation keys at most, none twice, and those of his new PDS also when he names another key or handle', async () => {
    const { leaver, to } = await someone();
    const { did, userId, handle } = leaver;
    const ours = `did:key:${(await identityOf(bench, userId)).rotation_public_key}`;
    const client = new reference.Client(plcUrl);
    const own = await k256();
    const sign = async (text: string) => Buffer.from(await own.sign(Buffer.from(text))).toString('base64url');
    await desk.setKey(leaver, { did: own.did(), sign });
    const [, , ofOldPds = ''] = (await dataOf(leaver))?.rotationKeys ?? [];
    const more = [(await newRecoveryKey()).did, (await newRecoveryKey()).did];
    await client.updateRotationKeys(did, own as never, [own.did(), ...more, ours, ofOldPds]);

    const others = [(await newRecoveryKey()).did, (await newRecoveryKey()).did];
    const changeId = await due(leaver, { ...to, rotationKeys: others });
    expect(await desk.work(leaver)).toBe('parked');
    expect(await desk.change(changeId)).toMatchObject({ step: 'requested' });
    expect((await desk.told(leaver)).at(-1)).toBe('leaving waiting ROTATION_KEYS_TOO_MANY');
    await desk.cancel(leaver, changeId);

    await client.updateRotationKeys(did, own as never, [own.did(), ours, ofOldPds]);
    await due(leaver, { ...to, rotationKeys: [...to.rotationKeys, ...to.rotationKeys] });
    expect(await desk.work(leaver)).toBe('done');
    const rotationKeys = [own.did(), ours, ...to.rotationKeys];
    expect(await dataOf(leaver)).toMatchObject({ rotationKeys });

    const next = (await newRecoveryKey()).did;
    await due(leaver, { ...to, atprotoKey: next, rotationKeys: [] });
    expect(await desk.work(leaver)).toBe('done');
    expect(await dataOf(leaver)).toMatchObject({ rotationKeys, verificationMethods: { atproto: next } });

    await client.updateHandle(did, own as never, 'elsewhere.example');
    await due(leaver, { ...to, atprotoKey: next, handle, rotationKeys: [] });
    expect(await desk.work(leaver)).toBe('done');
    expect(await dataOf(leaver)).toMatchObject({ rotationKeys, alsoKnownAs: [`at://${handle}`] });
  }, 60_000);

  it('stays where he was, with his account open, when the directory does not take it for two days', async () => {
    const { leaver, to, old } = await someone();
    const changeId = await due(leaver, to);
    expect(await desk.work(leaver, { fetch: refusing })).toBe('parked');
    expect(await desk.change(changeId)).toMatchObject({ step: 'old_account_closed', outcome: null });
    expect((await desk.told(leaver)).at(-1)).toBe('leaving waiting PLC_REFUSED');
    await expect(write(old, leaver.did, { text: 'not now' })).rejects.toThrow(/deactivated/i);
    await desk.pass(47 * HOUR);
    expect(await desk.work(leaver, { fetch: refusing })).toBe('parked');
    await desk.pass(2 * HOUR);
    expect(await desk.work(leaver, { fetch: refusing })).toBe('done');
    expect(await desk.change(changeId)).toMatchObject({ outcome: 'failed', error_code: 'PLC_REFUSED' });
    expect(await identityOf(bench, leaver.userId)).toMatchObject({ status: 'active', left_at: null });
    await write(old, leaver.did, { text: 'as before' });
  }, 60_000);

  it('is free after a day more when his old PDS does not open his account again, and brings it back when it does', async () => {
    const { leaver, to, old } = await someone();
    const changeId = await due(leaver, to);
    expect(await desk.work(leaver, { fetch: refusing })).toBe('parked');
    await desk.pass(49 * HOUR);
    const dead = ((...args: Parameters<typeof fetch>) =>
      String(args[0]).startsWith(two.pds.url)
        ? Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } }))
        : refusing(...args)) as typeof fetch;
    expect(await desk.work(leaver, { fetch: dead })).toBe('parked');
    expect(await desk.change(changeId)).toMatchObject({ outcome: null });
    await desk.pass(25 * HOUR);
    expect(await desk.work(leaver, { fetch: dead })).toBe('done');
    expect(await desk.change(changeId)).toMatchObject({
      outcome: 'failed',
      error_code: 'PLC_REFUSED',
      error_message: expect.stringMatching(/switched off.*reactivate/s),
    });
    expect((await desk.told(leaver)).at(-1)).toBe('leaving switched_off PLC_REFUSED');
    expect(await identityOf(bench, leaver.userId)).toMatchObject({ status: 'revoked', left_at: null });
    await desk.comeBack(leaver);
    expect(await identityOf(bench, leaver.userId)).toMatchObject({ status: 'active' });
    await write(old, leaver.did, { text: 'back again' });
  }, 60_000);

  it('who has ended his DID himself by then is not held', async () => {
    const { leaver, to } = await someone();
    const own = await k256();
    const sign = async (text: string) => Buffer.from(await own.sign(Buffer.from(text))).toString('base64url');
    await desk.setKey(leaver, { did: own.did(), sign });
    const changeId = await due(leaver, to);
    expect(await desk.work(leaver, { fetch: refusing })).toBe('parked');
    await new reference.Client(plcUrl).tombstone(leaver.did, own as never);
    await desk.pass(2 * HOUR);
    expect(await desk.work(leaver)).toBe('parked');
    expect(await desk.change(changeId)).toMatchObject({ progress: { waits_for: 'DID_ENDED' } });
    for (const days of [3, 2]) {
      await desk.pass(days * 24 * HOUR);
      await desk.work(leaver);
    }
    expect(await desk.change(changeId)).toMatchObject({ outcome: 'failed', error_code: 'DID_ENDED' });
  }, 60_000);
});
