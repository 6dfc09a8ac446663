-- How many codes in a row were wrong: after a hundred the app's are not taken any more (lib/auth/second-factor).
ALTER TABLE totp_factors ADD COLUMN wrong_codes integer NOT NULL DEFAULT 0 CHECK (wrong_codes >= 0);
