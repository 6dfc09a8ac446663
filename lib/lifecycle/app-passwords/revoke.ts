import { apiError } from '../../http/error-codes.ts';
import { revokeAppPassword as askFor, listAppPasswords } from '../../pds/client/app-passwords.ts';
import { type AppPasswordDeps, atHisPds, toldOf } from './at-his-pds.ts';
import { noteOn, readOwner } from './owner.ts';

/**
 * Takes an app password from whoever has it, also of an identity that is deactivated. Returns its name. When the answer
 * got lost, asking again does no harm. Throws `APP_PASSWORD_NOT_FOUND` (404), `IDENTITY_NOT_READY`, and what `atHisPds`
 * throws.
 */
export async function revokeAppPassword(
  deps: AppPasswordDeps,
  { userId, name }: { userId: string; name: string },
): Promise<string> {
  const { sql, now } = deps;
  const owner = await readOwner(sql, userId, ['active', 'revoked']);
  return atHisPds(deps, owner, async (pds, accessJwt) => {
    const names = (await listAppPasswords(pds, accessJwt)).map((one) => one.name);
    // Whether a gateway has decoded what stands in a path is not for every one of them to know.
    const meant = [name, decoded(name)].find((one) => names.includes(one));
    if (meant === undefined) throw apiError('APP_PASSWORD_NOT_FOUND');
    const note = noteOn(owner, 'app_password_revoked', { name: meant });
    await sql.begin(note.pending);
    try {
      await askFor(pds, accessJwt, meant);
    } catch (cause) {
      const error = toldOf(cause, now());
      await sql.begin((tx) => note.failed(tx, error));
      throw error;
    }
    await sql.begin(note.success);
    return meant;
  });
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
