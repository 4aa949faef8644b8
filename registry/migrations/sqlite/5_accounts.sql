-- Who may call: people and robots.
CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    -- Of a person the Argon2id hash of the password, of a robot the BLAKE3 hash of its random secret.
    secret_hash TEXT NOT NULL,
    -- Another one with each secret, so that tokens got by an earlier one end.
    credential TEXT NOT NULL,
    is_disabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

-- What they may do: an account, or whoever is nobody, and actions on a pattern of repositories.
CREATE TABLE roles (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    actions TEXT NOT NULL,
    repositories TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX roles_of_subject ON roles (subject, id);

-- Counts the changes of both, for those who remember them.
CREATE TABLE access_version (
    version INTEGER NOT NULL
) STRICT;
INSERT INTO access_version (version) VALUES (1);
