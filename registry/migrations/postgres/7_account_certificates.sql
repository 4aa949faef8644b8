-- Whom a client certificate is for that an account shows in place of a secret. One account's, or nobody could say whose it is.
ALTER TABLE accounts ADD COLUMN certificate TEXT COLLATE "C";
CREATE UNIQUE INDEX accounts_of_certificate ON accounts (certificate);
