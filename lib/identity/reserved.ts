/** What we, DNS, mail, certificates and auto-configuration use. */
const INFRASTRUCTURE = `
  www web m mobile api app apps admin auth login logout signin signup sso oauth oidc account accounts session
  static assets cdn media img images files download downloads upload uploads edge proxy gateway vpn
  dns ns mx mail email smtp imap pop webmail mta dkim dmarc spf bounce mailer mailerdaemon noreply
  autodiscover autoconfig wpad isatap localhost localdomain local internal intranet broadcasthost
  ftp sftp ssh git svn ci build deploy dev devel test testing stage staging prod production beta alpha demo sandbox
  db database postgres redis cache queue backup backups logs metrics monitor monitoring grafana prometheus health
  status dashboard console panel cpanel portal internals webhook webhooks callback ws wss socket
  postmaster hostmaster webmaster abuse root ssladmin ssladministrator sslwebmaster sysadmin ca ocsp crl acme wellknown
  example invalid null undefined none nil void nobody unknown anonymous anyone everyone default
  index home new edit settings config profile user users member members me self
`;

/** The protocol's own words, and hosts that an operator of a PDS will want one day. */
const PROTOCOL = `
  at atp atproto plc pds did handle repo xrpc lexicon lex nsid tid relay bgs firehose appview feed feeds labeler
  labels mod ozone moderation identity resolver directory entryway jetstream
`;

/** What a company or a community publishes under its own name. */
const PUBLIC_PAGES = `
  about blog news press jobs careers docs documentation wiki faq contact legal terms tos privacy policy dmca
  copyright security trust safety store shop pay payment payments billing invoice checkout refund donate premium
  team teams owner founder ceo helper company community partners investors marketing sales
`;

/**
 * Words that claim an office. They are refused as any part of a name, since `pnptv-support` or `admin-alice` is
 * what a swindler wants to be called.
 */
const OFFICES = new Set(
  words(`
    admin admins administrator adminteam moderator moderators mods sysadmin superuser sudo
    staff official officials support helpdesk help customerservice verify verified verification
    billing refund refunds security password recovery wallet payment payments payout
    telegram pnptv bluesky bsky atproto easybots
  `),
);

const RESERVED = new Set([...words(INFRASTRUCTURE), ...words(PROTOCOL), ...words(PUBLIC_PAGES), ...OFFICES]);

/**
 * Whether no member may have this first label: a name that we or DNS use, or one that claims an office.
 * Hyphens and trailing digits do not help (`ad-min`, `ns1`, `admin-2`), nor does an underscore at the front, which
 * DNS keeps for itself (RFC 8552). `extra` are the operator's own labels, compared as they are.
 */
export function isReserved(label: string, extra: Iterable<string> = []): boolean {
  const name = label.toLowerCase();
  if (name.startsWith('_')) return true;
  for (const own of extra) if (own.toLowerCase() === name) return true;
  const squeezed = name.replaceAll('-', '');
  return (
    RESERVED.has(squeezed) ||
    RESERVED.has(withoutNumber(squeezed)) ||
    name.split('-').some((part) => OFFICES.has(withoutNumber(part)))
  );
}

/**
 * The labels directly under our domain that the operator uses himself: what `isReserved` takes as `extra`.
 * `names` are did:web DIDs, URLs and host names from the settings (PDS_ADMIN_DID, PDS_APP_ORIGIN,
 * PDS_REMOTE_PROVIDER …); absent ones and those that lie elsewhere reserve nothing.
 */
export function operatorLabels(domain: string, names: Iterable<string | undefined>): string[] {
  const suffix = `.${domain.toLowerCase()}`;
  return Array.from(names, hostOf)
    .filter((host) => host.endsWith(suffix))
    .map((host) => host.slice(0, -suffix.length))
    .map((front) => front.slice(front.lastIndexOf('.') + 1));
}

function hostOf(name = ''): string {
  if (name.startsWith('did:')) return /^did:web:([^:%]+)/.exec(name)?.[1]?.toLowerCase() ?? '';
  return (URL.canParse(name) && new URL(name).hostname) || name.toLowerCase();
}

function withoutNumber(name: string): string {
  return name.replace(/\d+$/, '');
}

function words(list: string): string[] {
  return list.trim().split(/\s+/);
}
