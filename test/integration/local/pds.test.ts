import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AtpAgent } from '@atproto/api';
import { Secp256k1Keypair } from '@atproto/crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Pds, type PdsOptions, startPds } from '../../../infra/local/atproto/pds.ts';
import { type Plc, startPlc } from '../../../infra/local/atproto/plc.ts';
import { findProcess } from '../../../infra/local/process/process-table.ts';
import { freshDatabase, type TestDatabase } from '../../setup/database.ts';
import { startMemberGateway } from './member-gateway.ts';

const domain = 'pnptv.test';
const home = mkdtempSync(path.join(tmpdir(), 'pds-test-'));
const others: Pds[] = [];
let gateway: Awaited<ReturnType<typeof startMemberGateway>>;
let database: TestDatabase;
let plc: Plc;
let pds: Pds;

const start = (options: Partial<PdsOptions> = {}) =>
  startPds({ dir: path.join(home, 'pds'), plcUrl: plc.url, gatewayUrl: gateway.url, domain, ...options });

async function startAnother(options: Partial<PdsOptions> = {}): Promise<Pds> {
  const another = await start({ dir: path.join(home, randomUUID()), ...options });
  others.push(another);
  return another;
}

beforeAll(async () => {
  gateway = await startMemberGateway();
  database = await freshDatabase({ migrated: false });
  plc = await startPlc({ databaseUrl: database.ownerUrl });
  pds = await start();
});

afterEach(() => Promise.all(others.splice(0).map((other) => other.stop())));

afterAll(async () => {
  await Promise.all([pds?.stop(), plc?.stop()]);
  await database?.drop();
  gateway?.stop();
  rmSync(home, { recursive: true, force: true });
});

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

async function serviceJwt(key: Secp256k1Keypair, iss: string, aud: string): Promise<string> {
  const lxm = 'com.atproto.server.createAccount';
  const exp = Math.floor(Date.now() / 1000) + 60;
  const claims = `${base64url({ typ: 'JWT', alg: key.jwtAlg })}.${base64url({ iss, aud, lxm, exp, jti: randomUUID() })}`;
  return `${claims}.${Buffer.from(await key.sign(Buffer.from(claims))).toString('base64url')}`;
}

function didDocument(did: string, handle: string, key: string, serviceEndpoint: string) {
  const atproto = {
    id: `${did}#atproto`,
    type: 'Multikey',
    controller: did,
    publicKeyMultibase: key.slice('did:key:'.length),
  };
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [atproto],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }],
  };
}

/** facts of the protocol: bootstrap key → createAccount → the PDS's own key → activateAccount */
async function createMember(name: string, on: Pds, inviteCode?: string) {
  const host = `${name}-a1b2c3.${domain}`;
  const did = `did:web:${host}`;
  const handle = `${name}.${domain}`;
  const bootstrap = await Secp256k1Keypair.create();
  gateway.serveHandle(handle, did);
  gateway.serveDidDocument(host, didDocument(did, handle, bootstrap.did(), on.url));
  const agent = new AtpAgent({ service: on.url });
  const account = { did, handle, email: `${name}@members.test`, password: randomUUID(), inviteCode };
  const headers = { authorization: `Bearer ${await serviceJwt(bootstrap, did, on.did)}` };
  const { data } = await agent.com.atproto.server.createAccount(account, {
    headers,
    encoding: 'application/json',
  });
  await agent.resumeSession({ ...data, active: true });
  const recommended = await agent.com.atproto.identity.getRecommendedDidCredentials();
  const { atproto } = recommended.data.verificationMethods as { atproto: string };
  gateway.serveDidDocument(host, didDocument(did, handle, atproto, on.url));
  const status = await agent.com.atproto.server.checkAccountStatus();
  if (!status.data.validDid) throw new Error('the PDS does not accept the DID document');
  await agent.com.atproto.server.activateAccount();
  return { agent, did, handle, password: account.password };
}

describe('a member on it', () => {
  it('gets an account by a did:web and a handle that only our gateway serves, and writes', async () => {
    const { agent, did } = await createMember('alice', pds);
    const record = { $type: 'app.bsky.feed.post', text: 'hello', createdAt: new Date().toISOString() };
    const { data } = await agent.com.atproto.repo.createRecord({
      repo: did,
      collection: 'app.bsky.feed.post',
      record,
    });
    expect(data.uri).toContain(did);
    expect(gateway.asked).toContain(`alice-a1b2c3.${domain}/.well-known/did.json`);
    expect(gateway.asked).toContain(`alice.${domain}/.well-known/atproto-did`);
  });

  it('is refused at once when the handle resolves to nothing', async () => {
    const did = `did:web:nobody-a1b2c3.${domain}`;
    const bootstrap = await Secp256k1Keypair.create();
    gateway.serveDidDocument(
      `nobody-a1b2c3.${domain}`,
      didDocument(did, `nobody.${domain}`, bootstrap.did(), pds.url),
    );
    const agent = new AtpAgent({ service: pds.url });
    const headers = { authorization: `Bearer ${await serviceJwt(bootstrap, did, pds.did)}` };
    const account = { did, handle: `nobody.${domain}`, email: 'nobody@members.test', password: randomUUID() };
    const begun = performance.now();
    const call = agent.com.atproto.server.createAccount(account, { headers, encoding: 'application/json' });
    await expect(call).rejects.toThrow('External handle did not resolve to DID');
    // A resolver that does not answer costs five seconds at the first of its tries.
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  it('gets a did:plc, which the directory still knows after a restart', async () => {
    const agent = new AtpAgent({ service: pds.url });
    const account = { handle: 'plc-member.hosted.test', email: 'plc@members.test', password: randomUUID() };
    const { data } = await agent.com.atproto.server.createAccount(account);
    const known = { id: data.did, alsoKnownAs: ['at://plc-member.hosted.test'] };
    expect(await (await fetch(`${plc.url}/${data.did}`)).json()).toMatchObject(known);
    await plc.stop();
    plc = await startPlc({ databaseUrl: database.ownerUrl, port: plc.port });
    expect(await (await fetch(`${plc.url}/${data.did}`)).json()).toMatchObject(known);
  });

  it('still has account, password and DID service after a restart, and after a kill -9', async () => {
    const dir = path.join(home, 'restarted');
    const first = await startAnother({ dir });
    const { handle, password } = await createMember('carol', first);
    first.kill('SIGKILL');
    expect(await first.exited).toBe('PDS ended with signal SIGKILL.');
    const second = await startAnother({ dir, port: first.port });
    expect([second.did, second.adminPassword, second.url]).toEqual([
      first.did,
      first.adminPassword,
      first.url,
    ]);
    const agent = new AtpAgent({ service: second.url });
    await expect(agent.login({ identifier: handle, password })).resolves.toMatchObject({ success: true });
    expect(statSync(path.join(dir, 'secrets.json')).mode & 0o777).toBe(0o600);
  });
});

describe('the server', () => {
  it('serves the loopback address and no other', async () => {
    for (const { port } of [pds, plc]) {
      const reached = await new Promise<boolean>((resolve) => {
        const socket = connect({ host: '127.0.0.2', port, timeout: 2_000 });
        socket.once('connect', () => resolve(true));
        for (const event of ['error', 'timeout']) socket.once(event, () => resolve(false));
        socket.once('close', () => socket.destroy());
      });
      expect(reached).toBe(false);
    }
  });

  it('asks for an invite when told so', async () => {
    const closed = await startAnother({ inviteRequired: true });
    await expect(createMember('dave', closed)).rejects.toMatchObject({ error: 'InvalidInviteCode' });
    const admin = {
      authorization: `Basic ${Buffer.from(`admin:${closed.adminPassword}`).toString('base64')}`,
    };
    const agent = new AtpAgent({ service: closed.url });
    const invite = await agent.com.atproto.server.createInviteCode(
      { useCount: 1 },
      { headers: admin, encoding: 'application/json' },
    );
    await expect(createMember('dave', closed, invite.data.code)).resolves.toMatchObject({
      handle: `dave.${domain}`,
    });
  });

  it('limits rates when told so, except for whoever shows the bypass key', async () => {
    const limited = await startAnother({ rateLimits: true });
    const url = `${limited.url}/xrpc/com.atproto.server.createSession`;
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ identifier: `nobody.${domain}`, password: 'x' });
    const login = async (extra = {}) =>
      (await fetch(url, { method: 'POST', headers: { ...headers, ...extra }, body })).status;
    // The PDS answers a wrong password slowly, hence all at once: 30 in 5 minutes are allowed.
    const statuses = await Promise.all(Array.from({ length: 31 }, () => login()));
    expect(statuses.toSorted()).toEqual([...Array(30).fill(401), 429]);
    expect(await login({ 'x-ratelimit-bypass': limited.rateLimitBypassKey })).toBe(401);
  });

  it('hangs while it is paused and goes on when it is resumed', async () => {
    const health = (ms: number) => fetch(`${pds.url}/xrpc/_health`, { signal: AbortSignal.timeout(ms) });
    pds.pause();
    await expect(health(300)).rejects.toThrow('timeout');
    pds.resume();
    expect((await health(5_000)).status).toBe(200);
  });

  it('can be stopped while it is paused', async () => {
    const other = await startAnother();
    other.pause();
    await other.stop();
    expect(findProcess(other.pid)).toBeUndefined();
  });

  it('says which port is taken', async () => {
    const occupant = createServer().listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    const { port } = occupant.address() as AddressInfo;
    await expect(startAnother({ port })).rejects.toThrow(`PDS: port ${port} is taken by another program`);
    occupant.close();
  });

  it.each([false, true])(
    'goes away when the process that started it is killed (paused: %s)',
    async (paused) => {
      const { parent, pid } = await startInAnotherProcess();
      if (paused) process.kill(pid, 'SIGSTOP');
      parent.kill('SIGKILL');
      await expect.poll(() => findProcess(pid), { timeout: 10_000 }).toBeUndefined();
    },
  );
});

async function startInAnotherProcess(): Promise<{ parent: ChildProcess; pid: number }> {
  const module = new URL('../../../infra/local/atproto/plc.ts', import.meta.url).href;
  const program = `
    const { startPlc } = await import(${JSON.stringify(module)});
    console.log((await startPlc()).pid);
  `;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(parent.stdout, 'data');
  return { parent, pid: Number(line) };
}
