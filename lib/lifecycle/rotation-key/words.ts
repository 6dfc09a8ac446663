/**
 * What a member signs to show that he holds a key: three lines, of which the last, his did:key, has no end of line. It
 * names what it is for, the DID and the key, so that no signature made for anything else will do.
 */
export function statementFor(did: string, didKey: string): string {
  return `pds-provisioning rotation-key v1\n${did}\n${didKey}`;
}

/** What a member has to know before he puts a key of his own at the top, in plain words. */
export const EXPLANATION =
  'The keys stand in order of power. Whoever holds any of them can change where your DID leads and which keys stand here. ' +
  'What one key has signed, a key above it can undo for 72 hours, and all that came after with it; after that nobody can, whatever it was. ' +
  'So whoever holds the top key can take the identity away from anybody, us included; and if somebody steals it, from you. ' +
  'With a key of your own at the top, nobody can keep your identity from you, as long as you look within 72 hours. ' +
  'Only not at once: what your PDS has signed before, such as your handle, ours can undo until `undoable_until` as you see ' +
  'it when your key is added, and your key with it. ' +
  'If you lose it, ours below it still works: with our help you put another one in its place, which the lost key could ' +
  'undo for 72 hours, should somebody find it. We never see your key and cannot bring it back.';
