import type { Bundle } from './build.ts';

type Budget = { readonly own: number; readonly sdk: number };

/**
 * What a function's bundle may weigh, minified, in KB. `own` is everything but the AWS SDK: `postgres` 37, `zod/mini`
 * 31, the logger 20, our code 35. `sdk` is run only when it is called for: Secrets Manager's client alone weighs 330,
 * nearly all of it what every client has in common; each further client adds 25 to 30.
 */
const DEFAULT: Budget = { own: 180, sdk: 400 };
const BUDGETS: Readonly<Record<string, Budget>> = {
  // node-pg-migrate and pg.
  'database-migrate': { own: 480, sdk: 350 },
  // Every contract, and zod's way to JSON Schema.
  'docs-docs-page': { own: 240, sdk: 350 },
  'docs-openapi-json': { own: 230, sdk: 350 },
  // otplib with the hashes and the base32 that it brings, beside the vault.
  'auth-confirm-totp': { own: 215, sdk: 400 },
  'auth-enroll-totp': { own: 210, sdk: 400 },
  'auth-step-up': { own: 220, sdk: 400 },
  // Secrets Manager, KMS and SQS.
  'lifecycle-sweep-health': { own: 170, sdk: 450 },
  // Elliptic curves and the saga; Secrets Manager, KMS and SQS.
  'lifecycle-restore-backup': { own: 255, sdk: 450 },
  'lifecycle-get-recovery-key': { own: 235, sdk: 400 },
  'lifecycle-set-recovery-key': { own: 255, sdk: 450 },
  'lifecycle-remove-recovery-key': { own: 255, sdk: 450 },
  'lifecycle-make-recovery-key': { own: 230, sdk: 400 },
  'lifecycle-request-hand-over': { own: 240, sdk: 400 },
  'lifecycle-recover-by-hand-over': { own: 255, sdk: 400 },
  'lifecycle-recover-by-cancelling': { own: 245, sdk: 400 },
  'provisioning-provision-identity': { own: 305, sdk: 450 },
  // Every door, and what lets the bot write to who came in.
  'lifecycle-change-identity': { own: 400, sdk: 600 },
  'lifecycle-rotate-due-keys': { own: 320, sdk: 450 },
  'auth-login-mini-app': { own: 180, sdk: 400 },
  // What sends rows, beside the route.
  'provisioning-redrive-all': { own: 165, sdk: 400 },
  // grammY.
  'auth-deliver-messages': { own: 200, sdk: 350 },
  'auth-telegram-webhook': { own: 265, sdk: 400 },
  // jose.
  'auth-finish-oidc-login': { own: 210, sdk: 400 },
  // S3 and its XML.
  'lifecycle-clean-up': { own: 155, sdk: 520 },
  'lifecycle-download-export': { own: 165, sdk: 520 },
  // jose; Secrets Manager, KMS and SQS.
  'lifecycle-request-export': { own: 200, sdk: 450 },
  // S3 and its XML; KMS and Secrets Manager.
  'audit-seal-root': { own: 150, sdk: 600 },
};
const KB = 1024;

/** One sentence for every function that outgrew its budget. */
export function overBudget(bundles: readonly Bundle[]): string[] {
  return bundles.flatMap(({ id, own, sdk }) => {
    const budget = BUDGETS[id] ?? DEFAULT;
    return [
      ...(own > budget.own * KB ? [`${id}: ${kb(own)} KB without the AWS SDK, budget ${budget.own} KB`] : []),
      ...(sdk > budget.sdk * KB ? [`${id}: ${kb(sdk)} KB of AWS SDK, budget ${budget.sdk} KB`] : []),
    ];
  });
}

/** The sizes, for people. */
export function sizeTable(bundles: readonly Bundle[]): string {
  const row = (id: string, own: string, sdk: string) =>
    `${id.padEnd(36)}${own.padStart(8)}${sdk.padStart(8)}`;
  return [
    row('function, KB', 'own', 'sdk'),
    ...bundles.map(({ id, own, sdk }) => row(id, kb(own), kb(sdk))),
  ].join('\n');
}

function kb(bytes: number): string {
  return (bytes / KB).toFixed(0);
}
