-- What logs a member in once: the bot's login link, and the code that a signed backend hands to its user.
CREATE TABLE login_tokens (
  token_hash bytea        PRIMARY KEY CHECK (octet_length(token_hash) = 32),  -- HMAC-SHA256(SESSION_SECRET, token)
  kind       text         NOT NULL CHECK (kind IN ('link', 'exchange')),
  user_id    varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  created_at timestamptz  NOT NULL DEFAULT now(),
  expires_at timestamptz  NOT NULL,
  used_at    timestamptz
);
CREATE INDEX login_tokens_by_user ON login_tokens (user_id);
CREATE INDEX login_tokens_by_expiry ON login_tokens (expires_at);

GRANT SELECT, INSERT, UPDATE (used_at) ON login_tokens TO pds_api;
-- The clean-up of what is over.
GRANT SELECT, DELETE ON login_tokens TO pds_worker;
