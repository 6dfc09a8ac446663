import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { connect } from '../../lib/db/connect.ts';
import { chooseDataKey } from '../../lib/vault/choose-data-key.ts';
import { createLocalWrapper } from '../../lib/vault/local-wrapper.ts';
import { openSecret, sealSecret } from '../../lib/vault/secrets.ts';
import { createVault } from '../../lib/vault/vault.ts';
import type { Ground } from './ground.ts';
import { inTurn, timed } from './measure.ts';

/** What members have sealed: a password, the seed of a key, a token, the bundle of a backup. */
const SECRETS = [32, 32, 331, 1_200].map((length) => new Uint8Array(randomBytes(length)));
/** Each run seals and opens every one of them this often, so that a clock of microseconds can tell. */
const REPEATS = 10;
const ALGORITHM = 'aes-256-gcm';

/**
 * Sealing and opening with the data key at hand: by our vault, to the text that the database stores and back, and by
 * node:crypto alone; in turn, in milliseconds for one secret.
 *
 * The yardstick is what anybody would write: 32-byte salt and 16-byte IV, HKDF-SHA512 of the data key, AES-256-GCM with
 * associated data as long as ours; then the same HKDF again, and back. It commits to no key, checks no form, encodes
 * nothing, and binds to whatever it is given.
 */
export async function measureVault(ground: Ground, rounds: number) {
  const sql = connect(ground.workerUrl);
  const wrapper = createLocalWrapper(randomBytes(32).toString('base64'));
  const vault = createVault({ sql, wrapper, environment: 'bench-vault' });
  try {
    const dataKeyId = await chooseDataKey(vault);
    const place = {
      table: 'user_pds_mapping',
      column: 'pds_private_key_encrypted',
      userId: '123456789',
      version: 1,
    };
    // Imported once: as bytes, every derivation would import it anew, which makes a yardstick that flatters.
    const bareKey = createSecretKey(randomBytes(32));
    const binding = randomBytes(150);
    const perSecret = async (work: (secret: Uint8Array) => Uint8Array | Promise<Uint8Array>) => {
      const took = await timed(async () => {
        for (let repeat = 0; repeat < REPEATS; repeat += 1) {
          for (const secret of SECRETS) {
            if ((await work(secret)).length !== secret.length)
              throw new Error('what was sealed did not come back');
          }
        }
      });
      return took / (REPEATS * SECRETS.length);
    };
    return await inTurn(
      { rounds, warmUp: Math.ceil(rounds / 4) },
      () => perSecret((secret) => sealAndOpenBare(bareKey, binding, secret)),
      () =>
        perSecret(async (secret) =>
          openSecret(vault, place, await sealSecret(vault, dataKeyId, place, secret)),
        ),
    );
  } finally {
    await sql.end();
  }
}

function sealAndOpenBare(dataKey: KeyObject, binding: Uint8Array, secret: Uint8Array): Uint8Array {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const derive = () => new Uint8Array(hkdfSync('sha512', dataKey, salt, 'bench', 32));
  const cipher = createCipheriv(ALGORITHM, derive(), iv, { authTagLength: 16 });
  cipher.setAAD(binding);
  const ciphertext = cipher.update(secret);
  cipher.final();
  const decipher = createDecipheriv(ALGORITHM, derive(), iv, { authTagLength: 16 });
  decipher.setAAD(binding);
  decipher.setAuthTag(cipher.getAuthTag());
  const opened = decipher.update(ciphertext);
  decipher.final();
  return opened;
}
