-- The registry's own keys, one after the other.
CREATE TABLE signing_keys (
    generation BIGINT PRIMARY KEY,
    -- As a JSON Web Key.
    public_key TEXT COLLATE "C" NOT NULL,
    -- PKCS#8, under the seal whose secret is elsewhere.
    sealed BYTEA NOT NULL,
    signs_from BIGINT NOT NULL
);
