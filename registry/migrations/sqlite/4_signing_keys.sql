-- The registry's own keys, one after the other.
CREATE TABLE signing_keys (
    generation INTEGER PRIMARY KEY,
    -- As a JSON Web Key.
    public_key TEXT NOT NULL,
    -- PKCS#8, under the seal whose secret is elsewhere.
    sealed BLOB NOT NULL,
    signs_from INTEGER NOT NULL
) STRICT;
