import { registerHooks } from 'node:module';

/** This module as a preload of a PDS: one that answers a login as soon as it knows the answer. */
export const PROMPT_PDS = new URL(import.meta.url);

// @NOTE every login takes a PDS at least 350 ms, so that nobody learns from its time whom it knows (`login` in
// `@atproto/pds`, account-manager.js). The tests log in a thousand times and measure nobody.
registerHooks({
  load(url, context, nextLoad) {
    const module = nextLoad(url, context);
    if (!url.endsWith('/@atproto/pds/dist/account-manager/account-manager.js')) return module;
    const source = String(module.source);
    if (!source.includes('wait(350 - ')) throw new Error('a PDS whose logins wait elsewhere');
    return { ...module, source: source.replace('wait(350 - ', 'wait(0 - ') };
  },
});
