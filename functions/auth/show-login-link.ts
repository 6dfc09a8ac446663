import { showLoginLink } from '../../lib/auth/api.ts';
import { preferredLanguage } from '../../lib/auth/language.ts';
import { linkPage } from '../../lib/auth/login/link-page.ts';
import { whoseLink } from '../../lib/auth/login/login-token.ts';
import { openApi } from '../../lib/http/api-runtime.ts';
import { route } from '../../lib/http/route.ts';

const api = await openApi();

export const handler = route(showLoginLink, api, async ({ params, acceptLanguage }) =>
  linkPage(await whoseLink(api.sessions, params.token), preferredLanguage(acceptLanguage)),
);
