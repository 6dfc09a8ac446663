import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type P256Keypair, Secp256k1Keypair } from '@atproto/crypto';
import { base58btc } from 'multiformats/bases/base58';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import { verifyMember } from '../../../../lib/audit/verify.ts';
import type { Did } from '../../../../lib/brands.ts';
import { connect, type Sql } from '../../../../lib/db/connect.ts';
import type { ApiHandler } from '../../../../lib/http/route.ts';
import { newMemberKey } from '../../../../lib/identity/keys.ts';
import {
  getRecoveryKey,
  removeRecoveryKey,
  revealCredentials,
  setRecoveryKey as setContract,
} from '../../../../lib/lifecycle/api.ts';
import { NOTICES } from '../../../../lib/lifecycle/changes/notice.ts';
import { setRecoveryKey } from '../../../../lib/lifecycle/recovery-key/set.ts';
import { keyStatement } from '../../../../lib/lifecycle/recovery-key/words.ts';
import { readPlcLog } from '../../../../lib/pds/plc/read-log.ts';
import { createLocalWrapper } from '../../../../lib/vault/local-wrapper.ts';
import { createVault, type Vault } from '../../../../lib/vault/vault.ts';
import { freshDatabase, type TestDatabase } from '../../../setup/database.ts';
import { k256, p256, plc } from '../../../unit/identity/plc/judge.ts';
import { verdict } from '../../auth/second-factor.ts';
import { steppedUp } from '../../auth/stepped-up.ts';
import { call, ENCRYPTION_KEY, logIn, newcomer, setEnvironment } from '../../http/app.ts';
import { giveIdentity } from '../active-identity.ts';
import { givePlcIdentity } from '../plc-identity.ts';

const run = promisify(execFile);

let directory: Plc;
let database: TestDatabase;
let db: Sql;
let api: Sql;
let vault: Vault;
let routes: Record<'show' | 'add' | 'remove' | 'reveal', ApiHandler>;

beforeAll(async () => {
  [directory, database] = await Promise.all([startPlc(), freshDatabase()]);
  setEnvironment(database, { PDS_PLC_URL: directory.url });
  db = connect(database.superuserUrl, { max: 4 });
  api = connect(database.apiUrl, { max: 6 });
  vault = createVault({ sql: db, wrapper: createLocalWrapper(ENCRYPTION_KEY), environment: 'test' });
  routes = {
    show: (await import('../../../../functions/lifecycle/get-recovery-key.ts')).handler,
    add: (await import('../../../../functions/lifecycle/set-recovery-key.ts')).handler,
    remove: (await import('../../../../functions/lifecycle/remove-recovery-key.ts')).handler,
    reveal: (await import('../../../../functions/lifecycle/reveal-credentials.ts')).handler,
  };
});
afterAll(async () => {
  await Promise.all([db.end(), api.end()]);
  await Promise.all([database.drop(), directory.stop()]);
});

type Owner = { id: string; cookie: string } & Awaited<ReturnType<typeof givePlcIdentity>>;
let owner: Owner;
beforeEach(async () => {
  const user = newcomer();
  const cookie = await logIn(user);
  const id = String(user.id);
  owner = { id, cookie, ...(await givePlcIdentity({ sql: db, vault, plcUrl: directory.url }, id)) };
});

type Keypair = Secp256k1Keypair | P256Keypair;
async function proofOf(key: Keypair, did: string = owner.did, named = key.did()) {
  const signature = await key.sign(new TextEncoder().encode(keyStatement(did, named)));
  return { public_key: key.did(), signature: Buffer.from(signature).toString('base64url') };
}

/** As if he had just shown his second factor for this. */
const confirm = (target: string, operation = 'setRecoveryKey') => steppedUp(db, owner.id, operation, target);
const unspent = async () =>
  (await db`SELECT FROM step_ups WHERE user_id = ${owner.id} AND used_at IS NULL`).count;

async function add(key: Keypair, body?: Record<string, string>) {
  await confirm(key.did());
  return call(routes.add, setContract, { cookie: owner.cookie, body: body ?? (await proofOf(key)) });
}

/** The same with a directory that a test has spoiled, as the function does it. */
async function addVia(fetchVia: typeof fetch, key: Keypair) {
  const { public_key: publicKey, signature } = await proofOf(key);
  const stepUp = await confirm(publicKey);
  const spoiled = { fetch: fetchVia, plcUrl: directory.url, timeoutMs: 5_000 };
  return setRecoveryKey(
    {
      sql: api,
      vault: { ...vault, sql: api },
      directory: spoiled,
      notice: NOTICES.production,
      now: () => new Date(),
    },
    { publicKey, signature, stepUp },
  );
}
const submitting =
  (fault: (send: () => Promise<Response>) => Promise<Response>): typeof fetch =>
  (input, init) =>
    init?.method === 'POST' ? fault(() => fetch(input, { ...init, signal: null })) : fetch(input, init);

const keysOf = async (did: Did = owner.did) =>
  (await readPlcLog({ fetch, plcUrl: directory.url }, did)).data?.rotationKeys;
const operations = async () => (await new plc.Client(directory.url).getOperationLog(owner.did)).length;
async function story() {
  const rows = await db<{ pnptv_uuid: string; entry: string }[]>`
    SELECT pnptv_uuid, concat_ws(' ', action, status, error_code) AS entry
    FROM pds_provisioning_log WHERE user_id = ${owner.id} ORDER BY seq`;
  if (rows[0]) expect(await verifyMember(db, rows[0].pnptv_uuid)).toMatchObject({ intact: true });
  return rows.map(({ entry }) => entry);
}
const refusal = (code: string) => expect.objectContaining({ code });

describe('the rotation keys of a did:plc', () => {
  it('are shown in order of power, with whose they are and what they can do', async () => {
    const { data } = await call(routes.show, getRecoveryKey, { cookie: owner.cookie });
    expect(data).toEqual({
      pds_did: owner.did,
      rotation_keys: [
        { did_key: owner.ours, holder: 'service' },
        { did_key: owner.pds.did(), holder: 'pds' },
      ],
      did_method: 'plc',
      recovery_key: null,
      trusted_at: null,
      next: null,
      undoable_until: null,
      statement: `pds-provisioning recovery-key v1\n${owner.did}\n`,
      explanation: expect.stringContaining('72 hours'),
    });
  });

  it('say until when what the PDS signed can be undone, and his key with it', async () => {
    await new plc.Client(directory.url).updateHandle(owner.did, owner.pds as never, 'bob.pnptv.test');
    const { data } = await add(await k256());
    const hours = (Date.parse(data.undoable_until) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(71.9);
    expect(hours).toBeLessThanOrEqual(72);
  });

  it.each([
    ['k256', k256],
    ['p256', p256],
  ])('have the member’s own at the top once he has shown that he holds it: %s', async (_, make) => {
    const key = await make();
    const { status, data } = await add(key);
    expect([status, data?.changed]).toEqual([200, true]);
    expect(await keysOf()).toEqual([key.did(), owner.ours, owner.pds.did()]);
    const { changed, ...shown } = data;
    expect(shown.rotation_keys[0]).toEqual({ did_key: key.did(), holder: 'member' });
    expect((await call(routes.show, getRecoveryKey, { cookie: owner.cookie })).data).toEqual(shown);
    expect(await story()).toEqual([
      'backup_created success',
      'recovery_key_changed pending',
      'recovery_key_changed success',
    ]);
    const backups = await db`SELECT backup_type FROM pds_credential_backups WHERE user_id = ${owner.id}`;
    expect([...backups]).toEqual([{ backup_type: 'recovery' }]);
    expect(await unspent()).toBe(0);
    const written = await db`SELECT l::text AS text FROM pds_provisioning_log l WHERE user_id = ${owner.id}`;
    const bytes = Buffer.from(owner.rotationKey, 'base64url');
    for (const spelling of [bytes.toString('base64url'), bytes.toString('base64'), bytes.toString('hex')])
      expect(JSON.stringify([data, ...written])).not.toContain(spelling);
  });

  it('have one at the top that a member made with our command, and with nothing else', async () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'recovery-key-'));
    const command = async () => {
      const script = path.resolve(import.meta.dirname, '../../../../infra/local/recovery-key.ts');
      const { stdout } = await run(process.execPath, [script, path.join(dir, 'key'), owner.did]);
      return JSON.parse(stdout);
    };
    const body = await command();
    expect(await command()).toEqual(body);
    await confirm(body.public_key);
    const { data } = await call(routes.add, setContract, { cookie: owner.cookie, body });
    expect(data.changed).toBe(true);
    expect((await keysOf())?.[0]).toBe(body.public_key);
    rmSync(dir, { recursive: true });
  });

  it('keep ours and the PDS’s when another of his takes the place of the first, which can undo that', async () => {
    const [first, second] = [await k256(), await p256()];
    await add(first);
    const before = await readPlcLog({ fetch, plcUrl: directory.url }, owner.did);
    await add(second);
    expect(await keysOf()).toEqual([second.did(), owner.ours, owner.pds.did()]);

    // What the explanation says: a key above ours undoes what ours has signed.
    const client = new plc.Client(directory.url);
    const [, last] = await client.getOperationLog(owner.did);
    const undone = await plc.updateHandleOp(last as never, first as never, 'alice.elsewhere.test');
    expect(undone.prev).toBe(before.head);
    await client.sendOperation(owner.did, undone);
    expect(await keysOf()).toEqual([first.did(), owner.ours, owner.pds.did()]);
  });

  it('stay as they are when his is at the top already, and nothing is written', async () => {
    const key = await k256();
    await add(key);
    const [before, made] = [await story(), await operations()];
    const { data } = await add(key);
    expect(data.changed).toBe(false);
    expect([await story(), await operations(), await unspent()]).toEqual([before, made, 0]);
  });

  it('are not to be had of an identity that is being made, nor of a did:web', async () => {
    const user = newcomer();
    const cookie = await logIn(user);
    const key = await k256();
    const attempts = async () => {
      await confirm(key.did());
      const body = await proofOf(key);
      return [
        await verdict(call(routes.show, getRecoveryKey, { cookie })),
        await verdict(call(routes.add, setContract, { cookie, body })),
      ];
    };
    owner = { ...owner, id: String(user.id), cookie };
    expect(await attempts()).toEqual([
      [409, 'IDENTITY_NOT_READY'],
      [409, 'IDENTITY_NOT_READY'],
    ]);
    expect(await story()).toEqual([]);
    await giveIdentity({ sql: db, vault }, owner.id);
    await confirm('rotation_key', 'revealCredentials');
    const reveal = call(routes.reveal, revealCredentials, { cookie, body: { credential: 'rotation_key' } });
    expect(await verdict(reveal)).toEqual([409, 'NO_ROTATION_KEYS']);
    expect(await story()).toEqual([]);
  });

  it('lose the member’s own again when he takes it away, and no other', async () => {
    const key = await k256();
    await add(key);
    const remove = async (did: string) => {
      await confirm(did, 'removeRecoveryKey');
      return call(routes.remove, removeRecoveryKey, { cookie: owner.cookie, params: { key: did } });
    };
    for (const other of [owner.ours, owner.pds.did()])
      expect(await verdict(remove(other))).toEqual([404, 'RECOVERY_KEY_NOT_FOUND']);
    expect((await remove(key.did())).data).toMatchObject({ changed: true, recovery_key: null });
    expect(await keysOf()).toEqual([owner.ours, owner.pds.did()]);
    expect(await verdict(remove(key.did()))).toEqual([404, 'RECOVERY_KEY_NOT_FOUND']);
  });

  it('let ours out only to the member, as a credential', async () => {
    await confirm('rotation_key', 'revealCredentials');
    const body = { credential: 'rotation_key' };
    const { data } = await call(routes.reveal, revealCredentials, { cookie: owner.cookie, body });
    expect(data).toEqual({
      ...body,
      pds_did: owner.did,
      did_key: owner.ours,
      private_key: owner.rotationKey,
    });
    const key = await Secp256k1Keypair.import(Buffer.from(data.private_key, 'base64url'));
    expect(key.did()).toBe(owner.ours);
  });
});

/** As long as a compressed point of k256, with a first byte that none has. */
const NO_POINT = base58btc.encode(Uint8Array.of(0xe7, 0x01, 0x05, ...new Uint8Array(32)));

describe('a key is refused', () => {
  it('without a second factor shown for this very key', async () => {
    const [key, other] = [await k256(), await k256()];
    await confirm(other.did());
    const body = await proofOf(key);
    expect(await verdict(call(routes.add, setContract, { cookie: owner.cookie, body }))).toEqual([
      403,
      'STEP_UP_REQUIRED',
    ]);
    expect(await verdict(call(routes.add, setContract, { body }))).toEqual([401, 'SESSION_REQUIRED']);
  });

  it.each<[string, string, () => Promise<{ public_key: string; signature: string }>]>([
    [
      'Ed25519',
      'RECOVERY_KEY_INVALID',
      async () => ({
        ...(await proofOf(await k256())),
        public_key: `did:key:${newMemberKey().publicKeyMultibase}`,
      }),
    ],
    [
      'no point of its curve',
      'RECOVERY_KEY_INVALID',
      async () => ({ ...(await proofOf(await k256())), public_key: `did:key:${NO_POINT}` }),
    ],
    [
      'ours',
      'RECOVERY_KEY_INVALID',
      async () => proofOf(await Secp256k1Keypair.import(Buffer.from(owner.rotationKey, 'base64url'))),
    ],
    [
      'somebody else’s',
      'RECOVERY_KEY_NOT_PROVEN',
      async () => ({ ...(await proofOf(await k256())), public_key: (await k256()).did() }),
    ],
    [
      'proven for another DID',
      'RECOVERY_KEY_NOT_PROVEN',
      async () => proofOf(await k256(), 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'),
    ],
    [
      'proven for another key',
      'RECOVERY_KEY_NOT_PROVEN',
      async () => proofOf(await k256(), owner.did, (await k256()).did()),
    ],
  ])('that is %s: %s, and nothing is used up', async (_, code, make) => {
    const body = await make();
    await confirm(body.public_key);
    const answer = await call(routes.add, setContract, { cookie: owner.cookie, body });
    expect([answer.status, answer.error?.code]).toEqual([400, code]);
    expect([await unspent(), await story(), await operations()]).toEqual([1, [], 1]);
  });

  it('with a signature that others could have made of his: s in the upper half', async () => {
    const key = await k256();
    const body = await proofOf(key);
    const bytes = Buffer.from(body.signature, 'base64url');
    const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
    const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    bytes.write((n - s).toString(16).padStart(64, '0'), 32, 'hex');
    const answer = await add(key, { ...body, signature: bytes.toString('base64url') });
    expect(answer.error?.code).toBe('RECOVERY_KEY_NOT_PROVEN');
  });

  it('when ours is not among the rotation keys any more', async () => {
    const mine = await k256();
    await add(mine);
    await new plc.Client(directory.url).updateRotationKeys(owner.did, mine as never, [mine.did()]);
    const { error } = await add(await k256());
    expect([error?.code, await unspent()]).toEqual(['ROTATION_KEYS_NOT_OURS', 1]);
  });
});

describe('of two requests at the same time', () => {
  /** Lets neither operation through before both are there. */
  function together(): typeof fetch {
    let arrived = 0;
    const both = Promise.withResolvers<void>();
    return submitting(async (send) => {
      arrived += 1;
      if (arrived === 2) both.resolve();
      await both.promise;
      return send();
    });
  }

  it('for two keys, one wins and the other is told', async () => {
    const keys = [await k256(), await p256()];
    const network = together();
    const results = await Promise.allSettled(keys.map((key) => addVia(network, key)));
    const won = results.findIndex(({ status }) => status === 'fulfilled');
    expect(results[1 - won]).toMatchObject({ status: 'rejected', reason: refusal('ROTATION_KEYS_CHANGED') });
    expect(await keysOf()).toEqual([keys[won]?.did(), owner.ours, owner.pds.did()]);
    expect(await operations()).toBe(2);
    expect((await story()).filter((entry) => !entry.startsWith('backup')).sort()).toEqual([
      'recovery_key_changed failed ROTATION_KEYS_CHANGED',
      'recovery_key_changed pending',
      'recovery_key_changed pending',
      'recovery_key_changed success',
    ]);
  });

  it('for one key, both have it, by one operation', async () => {
    const key = await k256();
    const network = together();
    const results = await Promise.all([addVia(network, key), addVia(network, key)]);
    expect(results.map(({ recovery_key }) => recovery_key)).toEqual([key.did(), key.did()]);
    expect(await operations()).toBe(2);
  });
});

describe('a PLC directory', () => {
  it.each<[string, (send: () => Promise<Response>) => Promise<Response>]>([
    ['hangs up', (send) => send().then(() => Promise.reject(new TypeError('fetch failed')))],
    ['says 500', (send) => send().then(() => new Response('Oops', { status: 500 }))],
  ])('that did it and then %s is believed by its log', async (_, fault) => {
    const key = await k256();
    expect(await addVia(submitting(fault), key)).toMatchObject({ changed: true });
    expect((await story()).at(-1)).toBe('recovery_key_changed success');
  });

  it('that did it and is not heard of again keeps the member from no warning', async () => {
    await db`UPDATE users SET bot_language = 'en' WHERE id = ${owner.id}`;
    const key = await k256();
    let did = false;
    const network: typeof fetch = async (input, init) => {
      if (did) throw new TypeError('fetch failed');
      did = init?.method === 'POST';
      return fetch(input, init);
    };
    await expect(addVia(network, key)).rejects.toThrow(refusal('PLC_UNAVAILABLE'));
    expect((await keysOf())?.[0]).toBe(key.did());
    const told = await db`SELECT kind FROM telegram_messages WHERE user_id = ${owner.id}`;
    expect([...told]).toEqual([{ kind: 'recovery_key' }]);
    expect((await add(key)).data).toMatchObject({ changed: false, recovery_key: key.did() });
  });

  it.each<[string, string, (send: () => Promise<Response>) => Promise<Response>]>([
    ['says 500', 'PLC_UNAVAILABLE', async () => new Response('<h1>Oops</h1>', { status: 500 })],
    ['does not answer', 'PLC_UNAVAILABLE', () => Promise.reject(new DOMException('', 'TimeoutError'))],
    ['lies that it has', 'PLC_UNAVAILABLE', async () => new Response('OK')],
    [
      'refuses',
      'PLC_REFUSED',
      async () => Response.json({ message: 'Too many operations within last hour' }, { status: 400 }),
    ],
  ])('that has not done it and %s: %s, and that is written down', async (_, code, fault) => {
    const key = await k256();
    await expect(addVia(submitting(fault), key)).rejects.toThrow(refusal(code));
    expect((await story()).slice(1)).toEqual([
      'recovery_key_changed pending',
      `recovery_key_changed failed ${code}`,
    ]);
    expect(await operations()).toBe(1);
    expect((await add(key)).data).toMatchObject({ changed: true });
  });

  it.each<[string, () => Promise<Response>]>([
    ['is down', () => Promise.reject(new TypeError('fetch failed'))],
    ['shows HTML', async () => new Response('<h1>Oops</h1>')],
    ['shows the log of another', async () => fetch(`${directory.url}/${await anotherDid()}/log/audit`)],
  ])('that %s before anything was done leaves everything as it was', async (_, answer) => {
    await expect(addVia(answer as typeof fetch, await k256())).rejects.toThrow(refusal('PLC_UNAVAILABLE'));
    expect([await unspent(), await story()]).toEqual([1, []]);
  });

  const anotherDid = async () => {
    const user = newcomer();
    await logIn(user);
    return (await givePlcIdentity({ sql: db, vault, plcUrl: directory.url }, String(user.id))).did;
  };
});
