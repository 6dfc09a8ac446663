-- Members and everything by which they get in.

CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END $$;

CREATE TABLE users (
  id            varchar(255) PRIMARY KEY,           -- the Telegram id: the only thing an identity hangs on
  username      varchar(255),
  first_name    varchar(255),
  last_name     varchar(255),
  photo_url     text,
  role          varchar(20)  NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
  tier          varchar(50)  NOT NULL DEFAULT 'free',
  created_at    timestamptz  NOT NULL DEFAULT now(),
  last_login_at timestamptz  NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
  id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id      varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  token_hmac   bytea        NOT NULL UNIQUE CHECK (octet_length(token_hmac) = 32),  -- HMAC-SHA256(SESSION_SECRET, token)
  login_method varchar(20)  NOT NULL,
  user_agent   varchar(500),
  created_at   timestamptz  NOT NULL DEFAULT now(),
  last_seen_at timestamptz  NOT NULL DEFAULT now(),
  expires_at   timestamptz  NOT NULL,
  revoked_at   timestamptz
);
CREATE INDEX sessions_by_user ON sessions (user_id) WHERE revoked_at IS NULL;

-- One row per login signature: the unique key is what makes a signature good for one login only.
CREATE TABLE login_nonces (
  signature_hash bytea PRIMARY KEY CHECK (octet_length(signature_hash) = 32),
  created_at     timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL
);
CREATE INDEX login_nonces_by_expiry ON login_nonces (expires_at);

CREATE TABLE totp_factors (
  id                 uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id            varchar(255) NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
  secret_sealed      text         NOT NULL,
  last_time_step     bigint,                        -- the newest time step accepted: a code works once
  recovery_code_hashes bytea[]    NOT NULL DEFAULT '{}',
  confirmed_at       timestamptz,
  created_at         timestamptz  NOT NULL DEFAULT now()
);

CREATE TABLE step_ups (
  id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  session_id uuid         NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  user_id    varchar(255) NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  operation  varchar(100) NOT NULL,
  target     varchar(255),
  created_at timestamptz  NOT NULL DEFAULT now(),
  expires_at timestamptz  NOT NULL,
  used_at    timestamptz
);
CREATE INDEX step_ups_by_session ON step_ups (session_id) WHERE used_at IS NULL;

CREATE TABLE rate_limits (
  bucket       varchar(300) NOT NULL,               -- operation and subject, e.g. create-backup:123456789
  window_start timestamptz  NOT NULL,
  hits         integer      NOT NULL DEFAULT 1 CHECK (hits > 0),
  PRIMARY KEY (bucket, window_start)
);

CREATE TABLE telegram_updates (
  update_id   bigint PRIMARY KEY,
  received_at timestamptz NOT NULL DEFAULT now()
);
