/**
 * What is signed to show that one holds a key, and by the key before it to give way to that one: three lines, of which
 * the last, the new did:key, has no end of line. It names what it is for, the DID and the key, so that no signature made
 * for anything else will do.
 */
export function keyStatement(did: string, didKey: string): string {
  return `pds-provisioning recovery-key v1\n${did}\n${didKey}`;
}

export type Destination = {
  endpoint: string;
  /** As did:key, like all of them. */
  atprotoKey: string;
  /** Null: the one that he has stays. */
  handle: string | null;
  /** Those that the new PDS wants in a did:plc. */
  rotationKeys: readonly string[];
};

/**
 * What a recovery key signs to have the identity handed over: seven lines; the handle's is empty where it stays, and the
 * rotation keys stand in one, separated by commas.
 */
export function handOverStatement(
  did: string,
  { endpoint, atprotoKey, handle, rotationKeys }: Destination,
  issuedAt: string,
): string {
  const keys = rotationKeys.join(',');
  return ['pds-provisioning hand-over v1', did, endpoint, atprotoKey, handle ?? '', keys, issuedAt].join(
    '\n',
  );
}

/** What a recovery key signs to take back what is still waiting. */
export function cancelStatement(did: string, issuedAt: string): string {
  return ['pds-provisioning cancel v1', did, issuedAt].join('\n');
}

/** What a member has to know about such a key, in plain words. */
export const EXPLANATIONS: Readonly<Record<'web' | 'plc', string>> = {
  web:
    'Your DID stands at our domain, so its document can be changed through us only. With a recovery key you can have it ' +
    'name another PDS, and take changes back, without your Telegram account: by a signature alone. ' +
    'What it asks for, your session cannot take back once the key is trusted, which it is 72 hours after you registered it. ' +
    'So whoever steals it can take your identity away, unless you replace it: at once with its own signature and your second ' +
    'factor, which the thief has not got; without its signature in 72 hours, in which it can stop that. ' +
    'We hold its public half only and cannot bring it back.',
  plc:
    'The keys stand in order of power. Whoever holds any of them can change where your DID leads and which keys stand here. ' +
    'What one key has signed, a key above it can undo for 72 hours, and all that came after with it; after that nobody can, whatever it was. ' +
    'So whoever holds the top key can take the identity away from anybody, us included; and if somebody steals it, from you. ' +
    'With a key of your own at the top, nobody can keep your identity from you, as long as you look within 72 hours. ' +
    'Only not at once: what your PDS has signed before, such as your handle, ours can undo until `undoable_until` as you see ' +
    'it when your key is added, and your key with it. ' +
    'If you lose it, ours below it still works: with our help you put another one in its place, which the lost key could ' +
    'undo for 72 hours, should somebody find it. We never see your key and cannot bring it back.',
};
