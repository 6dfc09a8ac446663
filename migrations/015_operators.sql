-- Telling people: operators what they have to see to, members how the making of their identity ended.

-- What operators are not told yet: a row each time, written in the transaction that makes it true. Only inserted and,
-- once told, deleted: so nobody who notes something waits for anybody else who does.
CREATE TABLE operator_notices (
  id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind       text        NOT NULL,                  -- lib/operators/notices.ts says what it means and what to do
  subject    text        NOT NULL,                  -- what it is about: a provider, a member's uuid; never a secret
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX operator_notices_by_kind ON operator_notices (kind, subject, id);

-- What operators are told: the notices of one kind since the message before, in one message to each channel. The Telegram
-- chat gets it by telegram_messages, written in the same transaction; whether the topic has it stands here.
CREATE TABLE operator_messages (
  id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind            text        NOT NULL,
  subjects        text[]      NOT NULL,             -- the first few
  subject_count   integer     NOT NULL CHECK (subject_count > 0),
  since           timestamptz NOT NULL,             -- when the first of them was noted
  created_at      timestamptz NOT NULL DEFAULT now(),
  attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  next_attempt_at timestamptz NOT NULL DEFAULT now(),   -- while one is under way: when it counts as lost
  published_at    timestamptz
);
CREATE INDEX operator_messages_by_time ON operator_messages (created_at);
CREATE INDEX operator_messages_due ON operator_messages (next_attempt_at, id) WHERE published_at IS NULL;

GRANT SELECT, INSERT ON operator_notices TO pds_api, pds_worker;
GRANT DELETE ON operator_notices TO pds_worker;
GRANT SELECT, INSERT, UPDATE (attempts, next_attempt_at, published_at), DELETE ON operator_messages TO pds_worker;

-- The language in which the bot may write to a member of its own accord; null while he has neither written to it nor
-- allowed it to: Telegram refuses such messages (https://core.telegram.org/bots/faq#how-do-i-create-a-bot).
ALTER TABLE users ADD COLUMN bot_language text CHECK (bot_language IN ('en', 'es'));
-- Who has written to it before: his identity came from there, so he hears of it there.
UPDATE users u SET bot_language = m.language
FROM (SELECT DISTINCT ON (user_id) user_id, language FROM telegram_messages
      WHERE user_id IS NOT NULL AND sent_at IS NOT NULL ORDER BY user_id, id DESC) m
WHERE m.user_id = u.id;

GRANT UPDATE (bot_language) ON users TO pds_api;
-- What the bot tells a member of its own accord, and the operators' chat.
GRANT INSERT ON telegram_messages TO pds_worker;
