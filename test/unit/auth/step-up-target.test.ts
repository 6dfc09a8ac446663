import { describe, expect, it } from 'vitest';
import { readTarget } from '../../../lib/auth/second-factor/target.ts';
import { type StepUpTarget, storedTarget } from '../../../lib/auth/step-up-target.ts';

const KEY = 'did:key:zQ3shR6ZRPvP3QHbGnJXBFBYyniEZuW13ZL9urvob9EiNf6AW';
const OTHER_KEY = 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme';
const THERE = { endpoint: 'https://pds.example', atproto_key: KEY };

const stored = (operation: string, target: StepUpTarget) => storedTarget(readTarget(operation, target));

describe('the target of several fields', () => {
  it.each<[string, string, StepUpTarget, StepUpTarget]>([
    ['in whichever order', 'requestHandOver', THERE, { atproto_key: KEY, endpoint: THERE.endpoint }],
    [
      'with a default that is left out or said',
      'createAppPassword',
      { name: 'a' },
      { name: 'a', privileged: false },
    ],
  ])('is the same %s', (_, operation, one, another) => {
    expect(stored(operation, another)).toBe(stored(operation, one));
  });

  it.each<[string, Record<string, unknown>]>([
    ['for another PDS', { endpoint: 'https://pds.example:8443' }],
    ['for another key', { atproto_key: OTHER_KEY }],
    ['with a handle', { handle: 'alice.example' }],
    ['with rotation keys', { rotation_keys: [KEY] }],
  ])('is another one %s', (_, change) => {
    expect(stored('requestHandOver', { ...THERE, ...change })).not.toBe(stored('requestHandOver', THERE));
  });

  it('keeps fields and their order apart', () => {
    const targets = [
      { ...THERE, rotation_keys: [KEY, OTHER_KEY] },
      { ...THERE, rotation_keys: [OTHER_KEY, KEY] },
      { ...THERE, rotation_keys: [KEY] },
      { ...THERE, atproto_key: OTHER_KEY, rotation_keys: [KEY] },
      { ...THERE, handle: 'alice.example' },
    ].map((target) => stored('requestHandOver', target));
    expect(new Set(targets).size).toBe(targets.length);
  });

  it('is stored in 43 characters, however long it is', () => {
    const label = 'a'.repeat(63);
    const longest = {
      endpoint: `https://${'a'.repeat(240)}`,
      atproto_key: `did:key:z${'Q'.repeat(60)}`,
      handle: `${label}.${label}.${label}.${'a'.repeat(61)}`,
      rotation_keys: Array.from({ length: 3 }, () => `did:key:z${'Q'.repeat(60)}`),
    };
    expect(stored('requestHandOver', longest)).toMatch(/^[\w-]{43}$/);
  });
});
