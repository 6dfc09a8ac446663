import { createHash, randomBytes } from 'node:crypto';
import type { TelegramUser } from '../telegram.ts';

/** What a client asked for when it sent a browser to the issuer. */
export type Asked = {
  client_id: string;
  redirect_uri: string;
  code_challenge: string;
  state: string;
  nonce?: string | undefined;
};
export type Granted = Asked & { user: TelegramUser };

const LIFETIME_MS = 60_000;

/** The codes of an issuer: each is good once, for a minute, and for whoever knows the PKCE verifier. */
export function openCodes(now: () => Date) {
  const codes = new Map<string, Granted & { until: number }>();
  return {
    issue(granted: Granted): string {
      const code = randomBytes(16).toString('base64url');
      codes.set(code, { ...granted, until: now().getTime() + LIFETIME_MS });
      return code;
    },

    /** What the code of this token request (RFC 6749, 4.1.3) was granted for; undefined when it is no good. */
    redeem(form: URLSearchParams): Granted | undefined {
      const code = form.get('code') ?? '';
      const granted = codes.get(code);
      codes.delete(code);
      const challenge = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      const fits =
        granted?.code_challenge === challenge &&
        granted.redirect_uri === form.get('redirect_uri') &&
        granted.until > now().getTime();
      return fits ? granted : undefined;
    },
  };
}
