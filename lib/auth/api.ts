export * from './api/bot.ts';
export * from './api/internal.ts';
export * from './api/login.ts';
export * from './api/login-token.ts';
export * from './api/oidc.ts';
export * from './api/second-factor.ts';
export * from './api/session.ts';
export * from './api/step-up.ts';
