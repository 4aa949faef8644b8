-- Who may call: people and robots.
CREATE TABLE accounts (
    name TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    -- Of a person the Argon2id hash of the password, of a robot the BLAKE3 hash of its random secret.
    secret_hash TEXT COLLATE "C" NOT NULL,
    -- Another one with each secret, so that tokens got by an earlier one end.
    credential TEXT COLLATE "C" NOT NULL,
    is_disabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);

-- What they may do: an account, or whoever is nobody, and actions on a pattern of repositories.
CREATE TABLE roles (
    id TEXT COLLATE "C" PRIMARY KEY,
    subject TEXT COLLATE "C" NOT NULL,
    actions TEXT COLLATE "C" NOT NULL,
    repositories TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX roles_of_subject ON roles (subject, id);

-- Counts the changes of both, for those who remember them.
CREATE TABLE access_version (
    version BIGINT NOT NULL
);
INSERT INTO access_version (version) VALUES (1);
