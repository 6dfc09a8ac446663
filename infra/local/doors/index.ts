import { backend } from './backend.ts';
import type { Door } from './door.ts';
import { link } from './link.ts';
import { miniApp } from './mini-app.ts';
import { oidc } from './oidc.ts';
import { widget } from './widget.ts';

/** The ways in, by what `npm run login -- --door` calls them. */
export const DOORS = { widget, miniapp: miniApp, oidc, link, backend } as const satisfies Record<
  string,
  Door
>;
