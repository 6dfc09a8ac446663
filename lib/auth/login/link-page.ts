import { createHash } from 'node:crypto';
import { Html, html } from '../../docs/html.ts';
import type { RawAnswer } from '../../http/request.ts';
import type { Language } from '../language.ts';
import type { LinkedAccount } from './login-token.ts';

const STYLE = `:root{color-scheme:light dark;font:1.0625rem/1.5 system-ui,sans-serif}
body{margin:0;display:grid;min-height:100vh;place-items:center}
main{max-width:26rem;padding:2rem;text-align:center}
h1{font-size:1.4rem}
b,bdi{overflow-wrap:anywhere}
button,a.button{display:inline-block;font:inherit;padding:.7rem 1.6rem;border:0;border-radius:.5rem;background:#1a6dcc;color:#fff;text-decoration:none;cursor:pointer}
button:focus-visible,a.button:focus-visible{outline:3px solid #e8a33d;outline-offset:2px}`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

const TEXTS = {
  en: {
    title: 'Log in',
    whose: 'This link logs this browser in as',
    button: 'Log in',
    warning: 'Is this not you? Then close this page: somebody sent you his own link.',
    overTitle: 'This login link is no good',
    over: 'It was used already, is older than 10 minutes, or is not complete. Write /login to the bot to get a new one.',
    on: 'To the app',
  },
  es: {
    title: 'Iniciar sesión',
    whose: 'Este enlace inicia la sesión de este navegador como',
    button: 'Iniciar sesión',
    warning: '¿No eres tú? Entonces cierra esta página: alguien te ha enviado su propio enlace.',
    overTitle: 'Este enlace ya no sirve',
    over: 'Ya se ha usado, tiene más de 10 minutos o no está completo. Escribe /login al bot para recibir otro.',
    on: 'A la aplicación',
  },
} as const satisfies Record<Language, Record<string, string>>;

/**
 * The page behind a login link. It says whose account the link opens, and its button posts back to its own address;
 * looking at it uses nothing up, since messengers fetch links to preview them. Without an account it says what to do.
 */
export function linkPage(account: LinkedAccount | undefined, language: Language): RawAnswer {
  const texts = TEXTS[language];
  const content = account
    ? html`<h1>${texts.title}</h1>
<p>${texts.whose}<br>${whoIs(account)}</p>
<form method="post"><button type="submit">${texts.button}</button></form>
<p><small>${texts.warning}</small></p>`
    : html`<h1>${texts.overTitle}</h1>
<p>${texts.over}</p>
<p><a class="button" href="/">${texts.on}</a></p>`;
  const page = html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${account ? texts.title : texts.overTitle}</title>
<style>${new Html(STYLE)}</style>
</head>
<body><main>
${content}
</main></body>
</html>
`;
  return {
    body: page.markup,
    contentType: 'text/html; charset=utf-8',
    cacheControl: 'no-store',
    contentSecurityPolicy: `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`,
    // With no-referrer the form would come from `Origin: null`, which is refused (lib/http/browser-origin.ts).
    referrerPolicy: 'same-origin',
  };
}

/**
 * The handle, which nobody else has, or else the Telegram id; below it the name, which anybody may take, whatever it
 * pretends to be and in whichever direction it is written.
 */
function whoIs({ id, username, first_name, last_name }: LinkedAccount): Html {
  const name = [first_name, last_name].filter(Boolean).join(' ');
  const handle = html`<b>${username ? `@${username}` : `Telegram ${id}`}</b>`;
  return name === '' ? handle : html`${handle}<br><bdi>${name}</bdi>`;
}
