import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readLiveKeys } from '../../../../infra/local/export-verify/live-keys.ts';
import { verifyArchive } from '../../../../infra/local/export-verify/verify-archive.ts';
import { newK256Key, newMemberKey } from '../../../../lib/identity/keys.ts';
import { type Manifest, signManifest } from '../../../../lib/lifecycle/export/manifest.ts';
import { TAR_END, tarHeader, tarPadding } from '../../../../lib/lifecycle/export/tar.ts';
import { seededRandom } from '../../../chaos/seeded-random.ts';
import { identityOf, openStage, type Stage } from '../../provisioning/stage.ts';
import { openExportBench } from './export-bench.ts';
import { exportVerify } from './export-verify.ts';

let stage: Stage;
let folder: string;
/** A whole export, by bytes, and where each of its files is: from its header to the end of its padding. */
let bytes: Buffer;
let whole: string;
let manifest: Manifest;
let publicKey: string;
let live: () => ReturnType<typeof readLiveKeys>;
let close: () => Promise<void>;
const places: { name: string; start: number; end: number; content: Buffer }[] = [];

beforeAll(async () => {
  stage = await openStage();
  const bench = await openExportBench(stage);
  close = () => bench.close();
  folder = mkdtempSync(path.join(os.tmpdir(), 'verify-'));
  const userId = await bench.member();
  for (let n = 0; n < 4; n += 1) await bench.post(userId, 700);
  const { exportId, queued = '' } = await bench.request(userId, 'data_and_keys');
  await bench.finish(queued);
  whole = await bench.fileOf(exportId);
  bytes = readFileSync(whole);
  const identity = await identityOf(bench.bench, userId);
  publicKey = identity.pds_public_key ?? '';
  const { fetch, plcUrl } = bench.bench.deps.outside;
  live = () => readLiveKeys({ fetch, plcUrl }, identity.pds_did ?? '');
  for (let at = 0; at < bytes.length - TAR_END.length; ) {
    const name = bytes.toString('latin1', at, bytes.indexOf(0, at));
    const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 135), 8);
    const end = at + 512 + size + tarPadding(size).length;
    places.push({ name, start: at, end, content: bytes.subarray(at + 512, at + 512 + size) });
    at = end;
  }
  manifest = JSON.parse(String(places.at(-1)?.content));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await close();
  await stage.close();
});

const scratch = () => path.join(folder, `${randomBytes(6).toString('hex')}.tar`);
const faultOf = async (file: string, options: Parameters<typeof verifyArchive>[1] = {}) =>
  verifyArchive(file, options).then(
    () => 'intact',
    ({ entry }: { entry?: string }) => entry,
  );
const written = (content: Uint8Array) => {
  const file = scratch();
  writeFileSync(file, content);
  return file;
};
/** An archive of these files, signed anew by whoever wants to. */
const forged = (
  all: { name: string; content: Buffer }[],
  changes: Partial<Manifest> = {},
  key = newMemberKey(),
) => {
  const { signature, ...statement } = {
    ...manifest,
    entries: all.map(({ name, content }) => ({
      name,
      size: content.length,
      sha256: createHash('sha256').update(content).digest('hex'),
    })),
    ...changes,
  };
  const text = signManifest(statement, {
    algorithm: 'ed25519',
    keyId: signature?.key_id ?? '',
    publicKey: key.publicKeyMultibase,
    privateKey: key.privateKey,
  });
  return { file: packed([...all, { name: 'manifest.json', content: Buffer.from(text) }]), key };
};
const files = () => places.slice(0, -1).map(({ name, content }) => ({ name, content }));
const packed = (files: { name: string; content: Buffer }[]) => {
  const blocks = files.flatMap(({ name, content }) => [
    tarHeader(name, content.length),
    content,
    tarPadding(content.length),
  ]);
  return written(Buffer.concat([...blocks, TAR_END]));
};

describe('npm run export:verify', () => {
  it('finds an export whole, with nothing but the file, and by the published key', async () => {
    const { code, output } = await exportVerify(whole);
    expect(output).toMatch(/^Intact: 11 files/);
    expect(output).toContain(publicKey);
    expect(code).toBe(0);
    expect(await faultOf(whole, { key: publicKey })).toBe('intact');
    expect(await faultOf(whole, { key: `did:key:${publicKey}`, live })).toBe('intact');
    expect(await faultOf(whole, { key: newMemberKey().publicKeyMultibase })).toBe('manifest.json');
  });

  it('names the file and ends with 1 when one byte is another one; with 2 when there is no file', async () => {
    const spoiled = Buffer.from(bytes);
    const { start } = places.find(({ name }) => name === 'repo.car') ?? { start: 0 };
    spoiled[start + 600] = (spoiled[start + 600] ?? 0) ^ 4;
    const { code, output } = await exportVerify(written(spoiled));
    expect([code, output]).toEqual([1, expect.stringMatching(/^BROKEN: repo\.car: /)]);
    expect((await exportVerify(path.join(folder, 'none.tar'))).code).toBe(2);
    const directory = await exportVerify(folder);
    expect([directory.code, directory.output]).toEqual([2, expect.stringMatching(/is a folder\.\n$/)]);
    // Whoever has made it does not write on our terminal.
    const name = 'x\n\u001b[32mIntact: 9 files';
    const lying = await exportVerify(forged([...files(), { name, content: Buffer.alloc(1) }]).file);
    expect([lying.code, lying.output]).toEqual([
      1,
      expect.stringMatching(/^BROKEN: x.{0,6}\[32mIntact.*\n$/),
    ]);
    expect((await exportVerify()).code).toBe(2);
  });

  it('finds any flipped bit, wherever it is, and in which file', async () => {
    const random = seededRandom(20_261_126);
    const file = scratch();
    for (const { name, start, end, content } of places) {
      const inside = (from: number, to: number) => from + Math.floor(random() * (to - from));
      const padding = start + 512 + content.length;
      const spots = [
        ...Array.from({ length: 8 }, () => inside(start, start + 512)),
        ...Array.from({ length: 12 }, () => inside(start + 512, start + 512 + content.length)),
        ...(padding < end ? [inside(padding, end)] : []),
      ];
      for (const spot of spots) {
        const spoiled = Buffer.from(bytes);
        spoiled[spot] = (spoiled[spot] ?? 0) ^ (1 << Math.floor(random() * 8));
        writeFileSync(file, spoiled);
        expect([name, spot - start, await faultOf(file)]).toEqual([name, spot - start, name]);
      }
    }
    for (let at = bytes.length - TAR_END.length; at < bytes.length; at += 100) {
      const spoiled = Buffer.from(bytes);
      spoiled[at] = 1;
      writeFileSync(file, spoiled);
      expect([at, await faultOf(file)]).toEqual([at, 'manifest.json']);
    }
  });

  it('finds a file that is cut off, anywhere, and one to which something was added', async () => {
    const random = seededRandom(7);
    for (let n = 0; n < 20; n += 1) {
      const file = scratch();
      copyFileSync(whole, file);
      truncateSync(file, Math.floor(random() * bytes.length));
      expect(await faultOf(file)).toBe('manifest.json');
    }
    const longer = written(bytes);
    appendFileSync(longer, Buffer.alloc(512));
    expect(await faultOf(longer)).toBe('manifest.json');
    expect(await faultOf(written(Buffer.from('no archive')))).toBe('manifest.json');
    expect(await faultOf(written(Buffer.alloc(0)))).toBe('manifest.json');
  });

  it.each(['README.txt', 'did.json', 'repo.car', 'audit-log.json', 'account.json', 'keys.jwe'])(
    'finds %s taken out, also out of the manifest',
    async (name) => {
      const { file } = forged(files().filter((one) => one.name !== name));
      expect(await faultOf(file)).toBe(name);
    },
  );

  it('does not believe whoever writes an archive anew and signs it himself', async () => {
    // By a key that the document does not publish.
    const { file, key } = forged(files());
    expect(await faultOf(file)).toBe('manifest.json');
    // With a document that publishes it: only who knows the real one can tell.
    const document = (content: Buffer) =>
      Buffer.from(String(content).replace(publicKey, key.publicKeyMultibase));
    const renamed = files().map(({ name, content }) => ({
      name,
      content: name === 'did.json' ? document(content) : content,
    }));
    const persuasive = forged(renamed, {}, key).file;
    expect(await faultOf(persuasive)).toBe('intact');
    expect(await faultOf(persuasive, { key: publicKey })).toBe('manifest.json');
    expect(await faultOf(persuasive, { live })).toBe('manifest.json');
  });

  it('looks behind the sums: at each blob’s CID, at the repository’s signature, at the log', async () => {
    const swap = async (name: string, change: (content: Buffer) => Buffer) => {
      // What an owner could sign himself: his own document, his own key.
      const key = newMemberKey();
      const changed = files().map((one) => {
        const content = one.name === name ? change(one.content) : one.content;
        if (one.name !== 'did.json') return { ...one, content };
        return { ...one, content: Buffer.from(String(content).replace(publicKey, key.publicKeyMultibase)) };
      });
      return faultOf(forged(changed, {}, key).file);
    };
    const blob = files().find(({ name }) => name.startsWith('blobs/'))?.name ?? '';
    expect(await swap(blob, () => Buffer.from('another picture'))).toBe(blob);
    expect(
      await swap('audit-log.json', (content) =>
        Buffer.from(String(content).replace('"created"', '"updated"')),
      ),
    ).toBe('audit-log.json');
    const spoil = (content: Buffer) => {
      const copy = Buffer.from(content);
      copy[copy.length - 2] = (copy.at(-2) ?? 0) ^ 1;
      return copy;
    };
    expect(await swap('repo.car', spoil)).toBe('repo.car');
    const otherKey = (content: Buffer) =>
      Buffer.from(String(content).replace(/zQ3sh\w+/, 'zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme'));
    expect(await swap('did.json', otherKey)).toBe('repo.car');
    const lessOne = files().filter(({ name }) => name !== blob);
    const key = newMemberKey();
    const own = lessOne.map((one) =>
      one.name === 'did.json'
        ? { ...one, content: Buffer.from(String(one.content).replace(publicKey, key.publicKeyMultibase)) }
        : one,
    );
    expect(await faultOf(forged(own, {}, key).file)).toBe(blob);
  });

  it('takes no archive that nobody has signed, unless it is told to', async () => {
    const { signature: _, ...statement } = manifest;
    const unsigned = Buffer.from(signManifest(statement, undefined));
    const before = bytes.subarray(0, places.at(-1)?.start);
    const file = written(
      Buffer.concat([
        before,
        tarHeader('manifest.json', unsigned.length),
        unsigned,
        tarPadding(unsigned.length),
        TAR_END,
      ]),
    );
    expect(await faultOf(file)).toBe('manifest.json');
    expect(await faultOf(file, { unsigned: true })).toBe('intact');
    expect(await faultOf(file, { unsigned: true, key: publicKey })).toBe('manifest.json');
  });

  /** An archive as its owner himself could sign it: with his own document, and by his own key. */
  const signedByOwner = (
    change: (all: { name: string; content: Buffer }[]) => { name: string; content: Buffer }[],
    changes: Partial<Manifest> = {},
  ) => {
    const key = newMemberKey();
    const all = change(files()).map((one) =>
      one.name === 'did.json'
        ? { ...one, content: Buffer.from(String(one.content).replace(publicKey, key.publicKeyMultibase)) }
        : one,
    );
    return forged(all, changes, key).file;
  };
  const bytesOf = (text: string) => Buffer.from(text);
  const with_ = (name: string, content: string | Buffer) => () =>
    signedByOwner((all) => [
      ...all.filter((one) => one.name !== name),
      { name, content: Buffer.from(content) },
    ]);
  const more = (name: string) => () => signedByOwner((all) => [...all, { name, content: bytesOf('x') }]);
  const sized = (size: number) => () => {
    const [first, ...others] = manifest.entries;
    return signedByOwner((all) => all, { entries: [{ ...first, size }, ...others] as never });
  };
  const packedAnew = (...names: string[]) => {
    const taken = mkdtempSync(path.join(folder, 'taken-out-'));
    execFileSync('tar', ['xf', whole, '-C', taken]);
    const file = scratch();
    execFileSync('tar', ['cf', file, '-C', taken, ...names]);
    return file;
  };
  it.each<[string, string, RegExp, () => string]>([
    ['a file that is none of an export’s', 'notes.txt', /does not belong/, more('notes.txt')],
    ['a name twice', 'README.txt', /names it twice/, more('README.txt')],
    ['a name that leads out of it', 'blobs/../../x', /not the blob of its CID/, more('blobs/../../x')],
    ['an absolute name', '/etc/passwd', /does not belong/, more('/etc/passwd')],
    ['a second manifest', 'manifest.json', /does not belong/, more('manifest.json')],
    [
      'another order than it says',
      'README.txt',
      /header was changed, or it is missing/,
      () => signedByOwner((all) => [...all].reverse(), { entries: manifest.entries }),
    ],
    ['a size less than nothing', 'manifest.json', /no manifest/, sized(-512)],
    ['a size of 8 GB', 'README.txt', /cut off/, sized(8 ** 11 - 1)],
    ['a size that no tar can hold', 'README.txt', /cut off/, sized(2 ** 53 - 1)],
    [
      'neither preferences nor a word about them',
      'preferences.json',
      /missing/,
      () => signedByOwner((all) => all, { left_out: [] }),
    ],
    [
      'neither a repository nor a word about it',
      'repo.car',
      /missing/,
      () => signedByOwner((all) => all.filter(({ name }) => name !== 'repo.car'), { repository: null }),
    ],
    ['no account', 'account.json', /nobody/, with_('account.json', 'null')],
    ['the account of another DID', 'account.json', /nobody/, with_('account.json', '{"did":"did:web:x.y"}')],
    ['no log', 'audit-log.json', /no exported log/, with_('audit-log.json', '{}')],
    ['no document', 'did.json', /not the document/, with_('did.json', '[]')],
    ['an empty repository', 'repo.car', /cannot be read/, with_('repo.car', '')],
    ['a repository of nothing', 'repo.car', /cannot be read/, with_('repo.car', Buffer.alloc(1000))],
    [
      'another revision than it says',
      'repo.car',
      /another revision/,
      () => signedByOwner((all) => all, { repository: { root: manifest.repository?.root ?? '', rev: '3' } }),
    ],
    [
      'another DID',
      'did.json',
      /not the document/,
      () => signedByOwner((all) => all, { did: 'did:web:x.y' }),
    ],
    [
      'keys that nobody asked for',
      'keys.jwe',
      /does not belong/,
      () => signedByOwner((all) => all, { contents: 'data' }),
    ],
    ['all of it, compressed', 'manifest.json', /no export/, () => written(gzipSync(bytes))],
    [
      'all of it, packed by another tar',
      'manifest.json',
      /packed anew/,
      () => packedAnew(...places.map(({ name }) => name)),
    ],
    ['all of it, packed as a folder', 'manifest.json', /no export/, () => packedAnew('.')],
  ])('says what is wrong with an archive of %s', async (_, entry, fault, make) => {
    const error = await verifyArchive(make()).catch((thrown) => thrown);
    expect(error).toMatchObject({ entry, fault: expect.stringMatching(fault) });
  });

  it('says of an archive from before a rotation that its key is not published any more; by that key it is whole', async () => {
    const rotated = async () => new Map([...(await live())].filter(([, key]) => key !== publicKey));
    expect(await faultOf(whole, { key: publicKey })).toBe('intact');
    await expect(verifyArchive(whole, { live: rotated })).rejects.toMatchObject({
      entry: 'manifest.json',
      fault: expect.stringMatching(/publishes now.*--key/s),
    });
  });

  it('takes no signature of the PDS, whose key stands in the document, too', async () => {
    const key = newK256Key();
    const { signature: _, ...statement } = manifest;
    const document = JSON.parse(String(places.find(({ name }) => name === 'did.json')?.content));
    document.verificationMethod[0].publicKeyMultibase = key.publicKeyMultibase;
    const content = Buffer.from(JSON.stringify(document));
    const sha256 = createHash('sha256').update(content).digest('hex');
    const all = files().map((one) => (one.name === 'did.json' ? { name: 'did.json', content } : one));
    const entries = statement.entries.map((one) =>
      one.name === 'did.json' ? { ...one, size: content.length, sha256 } : one,
    );
    const signer = {
      algorithm: 'k256',
      keyId: `${manifest.did}#atproto`,
      publicKey: key.publicKeyMultibase,
    } as const;
    const text = signManifest({ ...statement, entries }, { ...signer, privateKey: key.privateKey });
    const error = await verifyArchive(
      packed([...all, { name: 'manifest.json', content: bytesOf(text) }]),
    ).catch((e) => e);
    expect(error).toMatchObject({ entry: 'manifest.json', fault: expect.stringMatching(/PDS/) });
  });
});
