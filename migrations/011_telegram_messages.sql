-- What the bot has to say, written in the transaction that makes it true, sent after it. It holds facts, never a login
-- link: the token of a link is made when the message is sent.
CREATE TABLE telegram_messages (
  id              bigint       GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  chat_id         bigint       NOT NULL,
  user_id         varchar(255) REFERENCES users (id) ON DELETE CASCADE,      -- null: a stranger
  kind            text         NOT NULL,
  language        text         NOT NULL CHECK (language IN ('en', 'es')),
  details         jsonb        NOT NULL DEFAULT '{}',
  created_at      timestamptz  NOT NULL DEFAULT now(),
  attempts        integer      NOT NULL DEFAULT 0 CHECK (attempts >= 0),     -- also the fence: only the last attempt says what became of it
  next_attempt_at timestamptz  NOT NULL DEFAULT now(),                       -- while one is under way: when it counts as lost
  flood_until     timestamptz,                                               -- Telegram takes no message of the bot before
  sent_at         timestamptz,
  gave_up_at      timestamptz,
  gave_up_reason  text,
  CHECK (sent_at IS NULL OR gave_up_at IS NULL),
  CHECK ((gave_up_at IS NULL) = (gave_up_reason IS NULL))
);
CREATE INDEX telegram_messages_due ON telegram_messages (next_attempt_at, id)
  WHERE sent_at IS NULL AND gave_up_at IS NULL;
CREATE INDEX telegram_messages_by_chat ON telegram_messages (chat_id, id)
  WHERE sent_at IS NULL AND gave_up_at IS NULL;
CREATE INDEX telegram_messages_flood ON telegram_messages (flood_until) WHERE flood_until IS NOT NULL;
CREATE INDEX telegram_messages_by_user ON telegram_messages (user_id);

GRANT SELECT, INSERT, UPDATE (attempts, next_attempt_at, flood_until, sent_at, gave_up_at, gave_up_reason)
  ON telegram_messages TO pds_api;
-- The clean-up of what is over.
GRANT SELECT, DELETE ON telegram_messages TO pds_worker;
