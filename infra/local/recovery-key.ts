import { existsSync, readFileSync } from 'node:fs';
import { AppError } from '../../lib/app-error.ts';
import { isDidWeb } from '../../lib/identity/did.ts';
import { newK256Key, publicK256Key, signK256 } from '../../lib/identity/keys.ts';
import { isDidPlc } from '../../lib/identity/plc/operation.ts';
import { cancelStatement, handOverStatement, keyStatement } from '../../lib/lifecycle/recovery-key/words.ts';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { writePrivateFile } from './process/private-file.ts';

const USAGE = `Usage: npm run recovery-key -- FILE DID [--before OLD_FILE]
       npm run recovery-key -- FILE DID --hand-over URL --atproto-key KEY [--handle HANDLE] [--rotation-key KEY]…
       npm run recovery-key -- FILE DID --cancel
  FILE  your own key: k256, 32 bytes in hex. It is made if it is not there; keep it where nobody else gets at it
  DID   your DID
Prints what POST /api/pds/recovery-key takes: the public half of the key, and a signature that shows that you hold it;
with --before also the signature of the key that it takes the place of. With --hand-over it prints what
POST /api/recovery/hand-over takes, with --cancel what POST /api/recovery/cancel takes; send that within 5 minutes.`;

const text = { type: 'string' } as const;
const options = readCommandLine(USAGE, {
  options: {
    help: COMMON_OPTIONS.help,
    before: text,
    'hand-over': text,
    'atproto-key': text,
    handle: text,
    'rotation-key': { type: 'string', multiple: true },
    cancel: { type: 'boolean' },
  },
  operands: ['FILE', 'DID'],
});
const [file = '', did = ''] = options.operands;
if (!isDidPlc(did) && !isDidWeb(did)) refuse(USAGE, `${did} is no did:web and no did:plc.`);
try {
  console.log(JSON.stringify(answer()));
} catch (error) {
  fail(error);
}

function answer(): object {
  const { before, cancel, handle = null, 'hand-over': endpoint, 'atproto-key': atprotoKey } = options;
  const issued_at = new Date().toISOString();
  if (cancel) return { did, issued_at, signature: sign(readKey(file), cancelStatement(did, issued_at)) };
  if (endpoint !== undefined) {
    if (atprotoKey === undefined) refuse(USAGE, '--hand-over needs --atproto-key.');
    const { 'rotation-key': rotationKeys = [] } = options;
    const statement = handOverStatement(did, { endpoint, atprotoKey, handle, rotationKeys }, issued_at);
    const destination = {
      endpoint,
      atproto_key: atprotoKey,
      ...(handle !== null && { handle }),
      ...(rotationKeys.length > 0 && { rotation_keys: rotationKeys }),
    };
    return { did, issued_at, ...destination, signature: sign(readKey(file), statement) };
  }
  const key = existsSync(file) ? readKey(file) : makeKey();
  const public_key = `did:key:${publicK256Key(key)}`;
  const statement = keyStatement(did, public_key);
  const confirmation = before === undefined ? undefined : sign(readKey(before), statement);
  return { public_key, signature: sign(key, statement), ...(confirmation && { confirmation }) };
}

function sign(privateKey: Uint8Array, statement: string): string {
  return Buffer.from(signK256(privateKey, new TextEncoder().encode(statement))).toString('base64url');
}

function readKey(path: string): Uint8Array {
  const hex = readFileSync(path, 'utf8').trim();
  if (/^[0-9a-f]{64}$/.test(hex)) return Uint8Array.from(Buffer.from(hex, 'hex'));
  throw new AppError('KEY_INVALID', `${path} holds no key of 32 bytes in hex: name another file.`);
}

function makeKey(): Uint8Array {
  const { privateKey } = newK256Key();
  writePrivateFile(file, `${Buffer.from(privateKey).toString('hex')}\n`);
  return privateKey;
}
