import type { Handle } from '../brands.ts';
import { isReserved } from './reserved.ts';
import { ADJECTIVES, NOUNS } from './words.ts';

/** A uniform integer from 0 up to but not including `limit`; `crypto.randomInt` is one. */
export type RandomInt = (limit: number) => number;
/** `username`: the Telegram name, if it can be one; `generated`: the handle says nothing about Telegram. */
export type HandleStrategy = 'username' | 'generated';

export type HandleWish = {
  /** The Telegram username, without `@`, or whatever else a caller believed to be one. */
  username: string | null | undefined;
  strategy: HandleStrategy;
  /** The domain under which members' handles stand, e.g. `pnptv.app`. */
  domain: string;
  /** First labels that belong to the operator (see `operatorLabels`), beside those that nobody may have. */
  reserved?: readonly string[];
  randomInt: RandomInt;
};

// A PDS refuses other lengths under its own domain; keeping to them, a member can move to any PDS with his name.
const SHORTEST = 3;
const LONGEST = 18;
const LAST_COUNTED_SUFFIX = 9;
const RANDOM_SUFFIXES = 4;

/**
 * Names a member could have, best first and without end: what he is called on Telegram, then that name with
 * -2 … -9, then with four random digits a few times, then generated names for ever. Whoever asks takes the first
 * that is free. Every candidate is a valid atproto handle (https://atproto.com/specs/handle) in lower case whose
 * first label has 3 to 18 characters, at least one of them a letter, is no punycode and not reserved.
 * A username that cannot be a label, or is reserved, gives generated names only.
 */
export function* handleCandidates(wish: HandleWish): Generator<Handle, never> {
  const { username, strategy, domain, reserved = [], randomInt } = wish;
  const label = strategy === 'username' ? labelFrom(username ?? '') : null;
  const source = labels(label !== null && isMemberLabel(label, reserved) ? label : null, randomInt);
  for (;;) {
    const candidate = source.next().value;
    if (isMemberLabel(candidate, reserved)) yield `${candidate}.${domain.toLowerCase()}` as Handle;
  }
}

/** Whether a member may have this first label; says nothing about whether it is free. */
export function isMemberLabel(label: string, reserved: readonly string[] = []): boolean {
  return (
    label.length >= SHORTEST &&
    label.length <= LONGEST &&
    /^[a-z0-9]+(-[a-z0-9]+)*$/.test(label) && // no `--`, hence no `xn--` (RFC 5891 §4.2.3.1)
    /[a-z]/.test(label) && // digits alone would look like a Telegram id
    !isReserved(label, reserved)
  );
}

function* labels(wish: string | null, randomInt: RandomInt): Generator<string, never> {
  if (wish !== null) {
    yield wish;
    for (let n = 2; n <= LAST_COUNTED_SUFFIX; n++) yield withSuffix(wish, n);
    for (let n = 0; n < RANDOM_SUFFIXES; n++) yield withSuffix(wish, fourDigits(randomInt));
  }
  for (;;) yield `${oneOf(ADJECTIVES, randomInt)}-${oneOf(NOUNS, randomInt)}-${fourDigits(randomInt)}`;
}

/**
 * The label that a username becomes, if any. Telegram allows A–Z, a–z, 0–9 and `_`; anything else is no Telegram
 * username, and rewriting it to ASCII could turn it into somebody else's name (`аlice` with a Cyrillic а).
 */
function labelFrom(username: string): string | null {
  if (!/^[A-Za-z0-9_-]+$/.test(username)) return null;
  const label = username.toLowerCase().replace(/[_-]+/g, '-').replace(/^-|-$/g, '');
  return label.length > LONGEST ? shorten(label) : label;
}

/** Cuts between words if at least half of the room stays filled, otherwise within a word. */
function shorten(label: string): string {
  const lastHyphen = label.lastIndexOf('-', LONGEST);
  return lastHyphen >= LONGEST / 2 ? label.slice(0, lastHyphen) : trimEnd(label.slice(0, LONGEST));
}

function withSuffix(label: string, suffix: number): string {
  return `${trimEnd(label.slice(0, LONGEST - 1 - String(suffix).length))}-${suffix}`;
}

function trimEnd(label: string): string {
  return label.replace(/-$/, '');
}

function fourDigits(randomInt: RandomInt): number {
  return 1000 + randomInt(9000);
}

function oneOf(words: readonly string[], randomInt: RandomInt): string {
  const word = words[randomInt(words.length)];
  if (word === undefined) throw new RangeError('randomInt went over its limit');
  return word;
}
