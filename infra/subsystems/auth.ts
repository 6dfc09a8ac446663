import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { Construct } from 'constructs';
import * as contracts from '../../lib/auth/api.ts';
import type { SettingName } from '../../lib/config.ts';
import type { Ground } from '../function.ts';
import { addPreflight, addRoutes, SESSION_SETTINGS, VAULT_SETTINGS } from '../routes.ts';
import { durations, failures, type Watched, watchRoutes } from '../watch.ts';
import { addDelivery, BOT_SETTINGS } from './auth-bot.ts';

/** What every route reads through which a member comes in. */
const DOOR_SETTINGS = [
  ...SESSION_SETTINGS,
  'PDS_PROVISIONING_ENABLED',
  'PROVISIONING_QUEUE_URL',
] as const satisfies readonly SettingName[];

const OIDC_SETTINGS = [
  'TELEGRAM_OIDC_ISSUER',
  'TELEGRAM_OIDC_CLIENT_ID',
] as const satisfies readonly SettingName[];
/** A callback asks the issuer three questions, of 5 seconds at most. */
const CALLBACK_TIMEOUT = Duration.seconds(20);

/** Telegram login, sessions and the second factor. */
export class Auth extends Construct {
  readonly watched: Watched;

  constructor(scope: Construct, id: string, ground: Ground & { api: HttpApi }) {
    super(scope, id);
    const functions = addRoutes(this, ground, 'auth', contracts, {
      loginWidget: { settings: [...DOOR_SETTINGS, 'TELEGRAM_BOT_TOKEN'] },
      loginMiniApp: { settings: [...DOOR_SETTINGS, 'TELEGRAM_BOT_TOKEN', 'TELEGRAM_WEBAPP_PUBLIC_KEY'] },
      startOidcLogin: { settings: [...SESSION_SETTINGS, ...OIDC_SETTINGS] },
      finishOidcLogin: {
        settings: [...DOOR_SETTINGS, ...OIDC_SETTINGS, 'TELEGRAM_OIDC_CLIENT_SECRET'],
        timeout: CALLBACK_TIMEOUT,
      },
      showLoginLink: { settings: SESSION_SETTINGS },
      useLoginLink: { settings: DOOR_SETTINGS },
      exchangeCode: { settings: DOOR_SETTINGS },
      telegramWebhook: {
        settings: [...DOOR_SETTINGS, ...BOT_SETTINGS, 'TELEGRAM_BOT_USERNAME', 'TELEGRAM_WEBHOOK_SECRET'],
      },
      internalLogin: { settings: [...DOOR_SETTINGS, 'INTERNAL_API_KEYS'] },
      getSession: { settings: [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED'] },
      logout: { settings: SESSION_SETTINGS },
      listSessions: { settings: SESSION_SETTINGS },
      revokeSession: { settings: SESSION_SETTINGS },
      revokeOtherSessions: { settings: SESSION_SETTINGS },
      getSecondFactor: { settings: SESSION_SETTINGS },
      enrollTotp: { settings: VAULT_SETTINGS },
      confirmTotp: { settings: VAULT_SETTINGS },
      stepUp: { settings: VAULT_SETTINGS },
      renewRecoveryCodes: { settings: SESSION_SETTINGS },
      disableTotp: { settings: SESSION_SETTINGS },
    });
    const delivery = addDelivery(this, ground);
    const { title, row } = watchRoutes(
      this,
      'auth',
      [...functions, addPreflight(this, ground)],
      ground.data.operators,
      {
        means: 'Logins or sessions crash or time out: members cannot get in.',
        todo:
          'read the log groups of the auth functions for the error; if it is SETTINGS_INVALID, enter the secret it names; ' +
          'if it is the database, see the database alarms.',
      },
    );
    this.watched = { title, row: [...row, durations([delivery]), failures([delivery])] };
  }
}
