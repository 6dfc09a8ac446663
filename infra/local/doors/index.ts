import type { Door } from './door.ts';
import { miniApp } from './mini-app.ts';
import { oidc } from './oidc.ts';
import { widget } from './widget.ts';

/** The ways in, by what `npm run login -- --door` calls them. */
export const DOORS = { widget, miniapp: miniApp, oidc } as const satisfies Record<string, Door>;
