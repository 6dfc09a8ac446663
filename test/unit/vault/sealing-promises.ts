import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AppError } from '../../../lib/app-error.ts';
import { joinSealed, type Sealed, splitSealed } from '../../../lib/vault/sealed.ts';
import { openSecret, type SecretPlace, sealSecret } from '../../../lib/vault/secrets.ts';
import type { Vault } from '../../../lib/vault/vault.ts';

type OpenVault = Pick<Vault, 'environment' | 'dataKeys'>;
/** A vault and the ids of two data keys that exist in it. */
export type Sealing = { vault: OpenVault; keyId: string; otherKeyId: string };

const PLACE: SecretPlace = {
  table: 'user_pds_mapping',
  column: 'pds_private_key',
  userId: '4711',
  version: 3,
};

/** The codes that "it does not open" may have, as far as the sealed value is to blame. */
const CLOSED = ['SEALED_VALUE_INVALID', 'SEALED_VALUE_UNREADABLE', 'DATA_KEY_NOT_FOUND'];

const name = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.isWellFormed());
const place = fc.record({ table: name, column: name, userId: name, version: fc.maxSafeNat() });
const bytes = fc.uint8Array({ maxLength: 2_000 });

/** What every vault promises, whatever wraps its data keys. `setUp` is called by each test. */
export function itKeepsSecrets(setUp: () => Sealing): void {
  it('opens what it sealed, any bytes and any text, in any place', async () => {
    const { vault, keyId } = setUp();
    await fc.assert(
      fc.asyncProperty(place, fc.oneof(bytes, fc.string({ unit: 'grapheme' })), async (where, secret) => {
        const sealed = splitSealed(joinSealed(await sealSecret(vault, keyId, where, secret)));
        const opened = await openSecret(vault, where, sealed);
        expect(Buffer.from(opened)).toEqual(Buffer.from(secret as Uint8Array));
      }),
    );
  });

  it('fits the columns: iv and tag are 32 hex characters', async () => {
    const { vault, keyId } = setUp();
    const { body, iv, tag } = await sealSecret(vault, keyId, PLACE, 'secret');
    expect(iv).toMatch(/^[0-9a-f]{32}$/);
    expect(tag).toMatch(/^[0-9a-f]{32}$/);
    expect(body).toMatch(/^v2\.[0-9a-f-]{36}\.[\w-]{43}\.[\w-]{43}\.[\w-]{8}$/);
  });

  it('seals the same secret differently each time, in every part', async () => {
    const { vault, keyId } = setUp();
    const seals = await Promise.all(
      Array.from({ length: 50 }, () => sealSecret(vault, keyId, PLACE, 'secret')),
    );
    const parts = seals.map((sealed) => joinSealed(sealed).split('.').slice(2));
    for (const column of [0, 1, 2, 3, 4]) {
      expect(new Set(parts.map((part) => part[column])).size).toBe(50);
    }
  });

  it('stays closed in every other place', async () => {
    const { vault, keyId } = setUp();
    await fc.assert(
      fc.asyncProperty(
        place,
        place,
        fc.subarray([...FIELDS], { minLength: 1 }),
        async (here, there, moved) => {
          const elsewhere = { ...here, ...Object.fromEntries(moved.map((field) => [field, there[field]])) };
          fc.pre(FIELDS.some((field) => elsewhere[field] !== here[field]));
          await staysClosed(vault, elsewhere, await sealSecret(vault, keyId, here, 'secret'));
        },
      ),
    );
  });

  it('stays closed when a character moves from one name to its neighbour', async () => {
    const { vault, keyId } = setUp();
    const sealed = await sealSecret(vault, keyId, { ...PLACE, table: 'ab', column: 'cd' }, 'secret');
    await staysClosed(vault, { ...PLACE, table: 'a', column: 'bcd' }, sealed);
    await staysClosed(vault, { ...PLACE, table: 'abc', column: 'd' }, sealed);
    const version = await sealSecret(vault, keyId, { ...PLACE, userId: '47', version: 11 }, 'secret');
    await staysClosed(vault, { ...PLACE, userId: '471', version: 1 }, version);
  });

  it('stays closed in every other environment, even with the same data key at hand', async () => {
    const { vault, keyId } = setUp();
    const sealed = await sealSecret(vault, keyId, PLACE, 'secret');
    await fc.assert(
      fc.asyncProperty(name, async (environment) => {
        fc.pre(environment !== vault.environment);
        await staysClosed({ dataKeys: vault.dataKeys, environment }, PLACE, sealed);
      }),
    );
  });

  it('stays closed when parts of two sealed values are mixed: two members, two data keys, two times', async () => {
    const { vault, keyId, otherKeyId } = setUp();
    const mine = await sealSecret(vault, keyId, PLACE, 'mine');
    const others = await Promise.all([
      sealSecret(vault, keyId, PLACE, 'mine'),
      sealSecret(vault, otherKeyId, PLACE, 'mine'),
      sealSecret(vault, keyId, { ...PLACE, userId: '4712' }, 'yours'),
      sealSecret(vault, otherKeyId, { ...PLACE, version: 2 }, 'older'),
    ]);
    for (const other of others) {
      const [ours, theirs] = [joinSealed(mine).split('.'), joinSealed(other).split('.')];
      for (let mask = 1; mask < 2 ** ours.length; mask += 1) {
        const mixed = ours.map((part, i) => ((mask >> i) & 1 ? theirs[i] : part)).join('.');
        if (mixed === joinSealed(mine)) continue;
        if (mixed === joinSealed(other) && others.indexOf(other) < 2) continue; // in its own place
        await staysClosed(vault, PLACE, mixed);
      }
    }
  });

  it('stays closed under the name of another format', async () => {
    const { vault, keyId } = setUp();
    const { body, ...rest } = await sealSecret(vault, keyId, PLACE, 'secret');
    for (const version of ['v1', 'v3', 'V2', 'v02', '__proto__', '']) {
      await staysClosed(vault, PLACE, { ...rest, body: body.replace(/^v2/, version) });
    }
  });

  it('stays closed after any change of one character, and after any character added or removed', async () => {
    const { vault, keyId } = setUp();
    const sealed = joinSealed(await sealSecret(vault, keyId, PLACE, 'four'));
    const characters = [
      'A',
      'B',
      'Q',
      'g',
      'w',
      'a',
      'f',
      '0',
      '9',
      '-',
      '_',
      '.',
      '=',
      '+',
      '/',
      ' ',
      '\n',
      'é',
    ];
    for (let at = 0; at <= sealed.length; at += 1) {
      const [head, tail] = [sealed.slice(0, at), sealed.slice(at)];
      if (tail !== '') await staysClosed(vault, PLACE, head + tail.slice(1));
      for (const character of characters) {
        await staysClosed(vault, PLACE, head + character + tail);
        if (tail !== '' && tail[0] !== character) {
          await staysClosed(vault, PLACE, head + character + tail.slice(1));
        }
      }
    }
  });

  it('stays closed after any bit flipped, byte removed or byte added in any binary part', async () => {
    const { vault, keyId } = setUp();
    const parts = joinSealed(await sealSecret(vault, keyId, PLACE, 'four')).split('.');
    for (const [part, text] of parts.entries()) {
      if (part < 2) continue; // version and data key id are text: the test before this one
      const encoding = part < 5 ? 'base64url' : 'hex';
      for (const changed of changesOf(Buffer.from(text, encoding))) {
        await staysClosed(vault, PLACE, parts.with(part, changed.toString(encoding)).join('.'));
      }
    }
  });

  it('says nothing of a secret in an error', async () => {
    const { vault, keyId } = setUp();
    const secret = randomBytes(24).toString('base64url');
    const sealed = await sealSecret(vault, keyId, PLACE, secret);
    const errors = [
      await refusal(openSecret(vault, { ...PLACE, userId: '4712' }, sealed)),
      await refusal(openSecret(vault, PLACE, { ...sealed, tag: sealed.tag.toUpperCase().slice(1) })),
      await refusal(openSecret(vault, PLACE, { ...sealed, body: secret })),
      await refusal(sealSecret(vault, keyId, { ...PLACE, column: '' }, secret)),
      await refusal(sealSecret(vault, keyId, PLACE, `${secret}\ud800`)),
      await refusal(sealSecret(vault, secret, PLACE, secret)),
      await refusal(sealSecret(vault, keyId, { ...PLACE, version: Number.NaN }, secret)),
    ];
    for (const error of errors) {
      const text = inspect(error, { depth: null, showHidden: true });
      for (const encoding of ['utf8', 'hex', 'base64', 'base64url'] as const) {
        expect(text).not.toContain(Buffer.from(secret).toString(encoding));
      }
    }
  });
}

const FIELDS = ['table', 'column', 'userId', 'version'] as const;

function* changesOf(original: Buffer): Generator<Buffer> {
  for (let bit = 0; bit < original.length * 8; bit += 1) {
    const flipped = Buffer.from(original);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield flipped;
  }
  for (let at = 0; at <= original.length; at += 1) {
    if (at < original.length) yield Buffer.concat([original.subarray(0, at), original.subarray(at + 1)]);
    yield Buffer.concat([original.subarray(0, at), Buffer.of(0), original.subarray(at)]);
  }
}

async function staysClosed(vault: OpenVault, where: SecretPlace, sealed: Sealed | string): Promise<void> {
  const error = await refusal(
    (async () => openSecret(vault, where, typeof sealed === 'string' ? splitSealed(sealed) : sealed))(),
  );
  if (!CLOSED.includes(error.code)) throw error;
}

async function refusal(work: Promise<unknown>): Promise<AppError> {
  const outcome = await work.catch((error: unknown) => error);
  if (outcome instanceof AppError) return outcome;
  throw new Error(`expected an AppError, got ${inspect(outcome)}`);
}
