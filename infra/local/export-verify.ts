import { chmodSync, writeFileSync } from 'node:fs';
import { fail, readCommandLine } from './command-line.ts';
import { Broken } from './export-verify/broken.ts';
import { readLiveKeys } from './export-verify/live-keys.ts';
import { type Verified, verifyArchive } from './export-verify/verify-archive.ts';

const USAGE = `Usage: npm run export:verify -- FILE [--key z6Mk…] [--live] [--plc URL] [--code CODE [--keys FILE]] [--unsigned]
  FILE         an export, as it was downloaded
  --key KEY    it must be signed by this key, which you know from elsewhere: the member's, as his DID publishes it
  --live       it must be signed by a key that the DID publishes now (asks the network)
  --plc URL    with --live, the PLC directory (https://plc.directory)
  --code CODE  also opens the keys in it; --keys FILE writes them there, readable
  --unsigned   takes an archive that nobody could sign any more: then only its sums are verified
Ends with 0 when every file in it holds, with 1 when one does not, and names that; with 2 when that cannot be found out.`;

const BROKEN = 1;
const NOT_VERIFIED = 2;

const options = readCommandLine(USAGE, {
  options: {
    key: { type: 'string' },
    live: { type: 'boolean', default: false },
    plc: { type: 'string', default: 'https://plc.directory' },
    code: { type: 'string' },
    keys: { type: 'string' },
    unsigned: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  operands: ['FILE'],
});
const { key, code, unsigned, live, plc: plcUrl, operands } = options;
try {
  const verified = await verifyArchive(operands[0] ?? '', {
    key,
    code,
    unsigned,
    live: live ? (did) => readLiveKeys({ fetch, plcUrl }, did) : undefined,
  });
  print(verified);
  if (options.keys !== undefined && verified.keys) writeKeys(options.keys, verified.keys);
} catch (error) {
  if (!(error instanceof Broken)) fail(error, NOT_VERIFIED);
  say(`BROKEN: ${error.entry}: ${error.fault}.`);
  process.exitCode = BROKEN;
}

function print({ manifest, files, repository, logEntries, logUnderRoot, keys }: Verified): void {
  const { did, handle, created_at, signature, left_out, missing_blobs } = manifest;
  say(`Intact: ${files} files, of ${created_at}.`);
  say(`  ${did} (@${handle})`);
  if (manifest.repository)
    say(`  repository ${manifest.repository.rev}: ${repository.records} records, ${repository.blobs} blobs`);
  say(`  audit log: ${logEntries} entries, ${logUnderRoot ? 'under a signed root' : 'under no root yet'}`);
  if (signature) {
    say(`  signed by ${signature.key_id}`);
    say(`    ${signature.public_key_multibase}`);
  } else say('  NOT SIGNED: whoever had the file could have written it anew.');
  if (signature && key === undefined && !live)
    say(
      '  Compare this key with one that you know from elsewhere (--key, --live): anybody can sign with his own.',
    );
  for (const { what, why } of left_out) say(`  left out: ${what}. ${why}`);
  for (const cid of missing_blobs) say(`  NOT COMPLETE: the PDS did not have blob ${cid}.`);
  if (keys) say(`  the code opens its keys, as of ${keys.as_of}`);
}

/** What stands in an archive is of whoever made it: he does not write on our terminal. */
function say(line: string): void {
  console.log(line.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd'));
}

/** For nobody else on this machine to read. */
function writeKeys(file: string, keys: object): void {
  writeFileSync(file, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600 });
  chmodSync(file, 0o600);
  console.log(`  written to ${file}: keep it as you would keep the password of your identity.`);
}
