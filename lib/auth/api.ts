export * from './api/internal.ts';
export * from './api/login.ts';
export * from './api/login-token.ts';
export * from './api/session.ts';
