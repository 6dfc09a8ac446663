import { existsSync, readFileSync } from 'node:fs';
import { AppError } from '../../lib/app-error.ts';
import { newK256Key, publicK256Key, signK256 } from '../../lib/identity/keys.ts';
import { isDidPlc } from '../../lib/identity/plc/operation.ts';
import { statementFor } from '../../lib/lifecycle/rotation-key/words.ts';
import { COMMON_OPTIONS, fail, readCommandLine, refuse } from './command-line.ts';
import { writePrivateFile } from './process/private-file.ts';

const USAGE = `Usage: npm run rotation-key -- FILE DID
  FILE  your own key: k256, 32 bytes in hex. It is made if it is not there; keep it where nobody else gets at it
  DID   your did:plc
Prints what POST /api/pds/rotation-key takes: the public half of the key, and a signature that shows that you hold it.`;

const { operands } = readCommandLine(USAGE, {
  options: { help: COMMON_OPTIONS.help },
  operands: ['FILE', 'DID'],
});
const [file = '', did = ''] = operands;
if (!isDidPlc(did)) refuse(USAGE, `${did} is no did:plc.`);
try {
  const privateKey = existsSync(file) ? readKey() : makeKey();
  const public_key = `did:key:${publicK256Key(privateKey)}`;
  const signature = signK256(privateKey, new TextEncoder().encode(statementFor(did, public_key)));
  console.log(JSON.stringify({ public_key, signature: Buffer.from(signature).toString('base64url') }));
} catch (error) {
  fail(error);
}

function readKey(): Uint8Array {
  const hex = readFileSync(file, 'utf8').trim();
  if (/^[0-9a-f]{64}$/.test(hex)) return Uint8Array.from(Buffer.from(hex, 'hex'));
  throw new AppError('KEY_INVALID', `${file} holds no key of 32 bytes in hex: name another file.`);
}

function makeKey(): Uint8Array {
  const { privateKey } = newK256Key();
  writePrivateFile(file, `${Buffer.from(privateKey).toString('hex')}\n`);
  return privateKey;
}
