import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Plc, startPlc } from '../../../infra/local/atproto/plc.ts';
import type { Did } from '../../../lib/brands.ts';
import { newK256Key } from '../../../lib/identity/keys.ts';
import { signOperation } from '../../../lib/identity/plc/operation.ts';
import {
  checkDirectory,
  type PlcDirectory,
  readPlcDocument,
  submitOperation,
} from '../../../lib/pds/plc/directory.ts';
import type { PlcFault } from '../../../lib/pds/plc/plc-error.ts';
import { readPlcLog } from '../../../lib/pds/plc/read-log.ts';
import { k256, makeDid, p256, plc } from '../../unit/identity/plc/judge.ts';

let server: Plc;
let directory: PlcDirectory;
const us = newK256Key();
const ourKey = `did:key:${us.publicKeyMultibase}`;

beforeAll(async () => {
  server = await startPlc();
  directory = { fetch, plcUrl: server.url };
});
afterAll(() => server.stop());

async function registered(): Promise<{ did: Did; pdsKey: string }> {
  const pds = await k256();
  const { op, did } = await makeDid(pds, [ourKey, pds.did()]);
  await new plc.Client(server.url).sendOperation(did, op);
  return { did: did as Did, pdsKey: pds.did() };
}
const fault = (kind: PlcFault) => expect.objectContaining({ name: 'PlcError', fault: kind });
const answering = (answer: (signal: AbortSignal) => Response | Promise<Response>): PlcDirectory => ({
  fetch: (async (_: unknown, init: RequestInit) => answer(init.signal as AbortSignal)) as typeof fetch,
  plcUrl: 'https://plc.test',
});
const silence = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('a PLC directory', () => {
  it('tells what a DID is and how it became so', async () => {
    const { did, pdsKey } = await registered();
    const document = await readPlcDocument(directory, did);
    expect(document).toMatchObject({
      rotationKeys: [ourKey, pdsKey],
      alsoKnownAs: ['at://alice.pnptv.test'],
      services: { atproto_pds: { endpoint: 'https://pds.pnptv.test' } },
    });
    expect((await readPlcLog(directory, did)).data).toMatchObject({ rotationKeys: [ourKey, pdsKey] });
    await checkDirectory(directory);
  });

  it('takes our operation, with a key of the member at the top', async () => {
    const { did, pdsKey } = await registered();
    const member = (await p256()).did();
    const { head, data } = await readPlcLog(directory, did);
    if (!data) throw new Error('no data');
    const operation = signOperation(
      { ...data, rotationKeys: [member, ...data.rotationKeys] },
      head,
      us.privateKey,
    );
    await submitOperation(directory, did, operation);
    expect((await readPlcDocument(directory, did))?.rotationKeys).toEqual([member, ourKey, pdsKey]);
    // The same once more follows nothing that is the last any more.
    expect(await submitOperation(directory, did, operation)).toEqual(fault('refused'));
  });

  it('knows nothing of a DID that was never made, nor of one that has ended', async () => {
    const never = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' as Did;
    expect(await readPlcDocument(directory, never)).toBeUndefined();
    await expect(readPlcLog(directory, never)).rejects.toThrow(fault('not_found'));
    const pds = await k256();
    const { op, did } = await makeDid(pds, [pds.did()]);
    const client = new plc.Client(server.url);
    await client.sendOperation(did, op);
    await client.tombstone(did, pds as never);
    expect(await readPlcDocument(directory, did as Did)).toBeUndefined();
    expect((await readPlcLog(directory, did as Did)).data).toBeUndefined();
  });

  it('does not pass off one DID for another', async () => {
    const [{ did }, other] = [await registered(), await registered()];
    const lying = answering(() => fetch(`${server.url}/${other.did}/data`));
    await expect(readPlcDocument(lying, did)).rejects.toThrow(fault('malformed'));
    const lyingLog = answering(() => fetch(`${server.url}/${other.did}/log/audit`));
    await expect(readPlcLog(lyingLog, did)).rejects.toThrow(fault('malformed'));
  });

  it.each<[string, PlcFault, (signal: AbortSignal) => Response | Promise<Response>]>([
    ['HTML', 'malformed', () => new Response('<h1>Oops</h1>')],
    ['half a JSON', 'malformed', () => new Response('[{"did": ')],
    ['10 MB', 'malformed', () => new Response('x'.repeat(10_000_000))],
    ['an empty log', 'malformed', () => Response.json([])],
    ['a redirect', 'malformed', () => new Response(null, { status: 302, headers: { location: '/' } })],
    ['a 500', 'unavailable', () => Response.json({ message: 'Internal Server Error' }, { status: 500 })],
    ['a 503 in HTML', 'unavailable', () => new Response('<h1>Oops</h1>', { status: 503 })],
    ['a 429', 'unavailable', () => new Response('', { status: 429 })],
    ['nothing', 'timeout', silence],
    ['no connection', 'unreachable', () => Promise.reject(new TypeError('fetch failed'))],
  ])('that answers with %s is %s', async (_, kind, answer) => {
    const never = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' as Did;
    const lying = { ...answering(answer), ...(kind === 'timeout' && { timeoutMs: 100 }) };
    await expect(readPlcLog(lying, never)).rejects.toThrow(fault(kind));
    await expect(readPlcDocument(lying, never)).rejects.toThrow(fault(kind));
  });
});
