-- Logins under way at Telegram's OpenID Connect: a row from the start to the callback. What opens one, its state and the
-- secret of the browser that began it, is not in it.
CREATE TABLE login_states (
  state_hash   bytea       PRIMARY KEY CHECK (octet_length(state_hash) = 32),  -- HMAC-SHA256(SESSION_SECRET, state)
  browser_hash bytea       NOT NULL CHECK (octet_length(browser_hash) = 32),   -- HMAC-SHA256(SESSION_SECRET, cookie)
  return_to    text        NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  expires_at   timestamptz NOT NULL,
  used_at      timestamptz
);
CREATE INDEX login_states_by_expiry ON login_states (expires_at);

GRANT SELECT, INSERT, UPDATE (used_at) ON login_states TO pds_api;
-- The clean-up of what is over.
GRANT SELECT, DELETE ON login_states TO pds_worker;
