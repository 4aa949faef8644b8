-- Times are microseconds since 1970, UTC. Ids, digests and names are text as they display; the default collation compares bytes. What
-- programs alone read whole is JSON.

-- One row each: who leads, the last batch that a leader wrote, where the outbox stands, and how often nodes' layers were written.
CREATE TABLE lease (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    holder TEXT,
    address TEXT NOT NULL,
    term INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;
INSERT INTO lease (one, holder, address, term, until) VALUES (1, NULL, '', 0, 0);

CREATE TABLE committed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    term INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT;
INSERT INTO committed (one, term, number) VALUES (1, 0, 0);

CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL,
    -- Events up to this one are gone.
    dropped INTEGER NOT NULL
) STRICT;
INSERT INTO head (one, position, dropped) VALUES (1, 0, 0);

CREATE TABLE layers_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO layers_head (one, version) VALUES (1, 0);

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    change TEXT NOT NULL,
    id TEXT NOT NULL,
    namespace TEXT,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    author TEXT,
    object TEXT
) STRICT;
CREATE INDEX events_by_id ON events (id, position);
CREATE INDEX events_by_namespace ON events (namespace, position);

CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    account TEXT NOT NULL,
    address TEXT,
    request TEXT NOT NULL,
    subject TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request_id TEXT
) STRICT;
CREATE INDEX audit_by_time ON audit (at);

-- What callers were answered to operations that they named.
CREATE TABLE answers (
    caller TEXT NOT NULL,
    id TEXT NOT NULL,
    request TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (caller, id)
) STRICT;
CREATE INDEX answers_by_time ON answers (at);

CREATE TABLE namespaces (
    name TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    spec TEXT NOT NULL,
    -- The specification's quota; no limit where there is none.
    quota_cpu_millis INTEGER,
    quota_memory_bytes INTEGER,
    quota_pods INTEGER,
    asked_cpu_millis INTEGER NOT NULL,
    asked_memory_bytes INTEGER NOT NULL,
    asked_pods INTEGER NOT NULL
) STRICT;
INSERT INTO namespaces (name, revision, spec, asked_cpu_millis, asked_memory_bytes, asked_pods)
VALUES ('default', 1, '{"name":"default"}', 0, 0, 0);

CREATE TABLE workloads (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL REFERENCES namespaces (name),
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    template_revision INTEGER NOT NULL,
    spec TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    deleted INTEGER,
    status TEXT NOT NULL,
    UNIQUE (namespace, kind, name)
) STRICT;
CREATE INDEX workloads_by_kind ON workloads (kind, id);
CREATE INDEX workloads_by_namespace ON workloads (namespace, id);

CREATE TABLE revisions (
    workload TEXT NOT NULL,
    number INTEGER NOT NULL,
    template TEXT NOT NULL,
    image TEXT NOT NULL,
    layers TEXT NOT NULL,
    created INTEGER NOT NULL,
    author TEXT,
    PRIMARY KEY (workload, number)
) STRICT;

CREATE TABLE rollouts (
    workload TEXT NOT NULL,
    revision INTEGER NOT NULL,
    template_revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    began INTEGER NOT NULL,
    ended INTEGER,
    PRIMARY KEY (workload, revision)
) STRICT, WITHOUT ROWID;

-- In the order of their ids, in which a leader reads all of them when it begins.
CREATE TABLE pods (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    namespace TEXT NOT NULL,
    workload TEXT NOT NULL,
    revision INTEGER NOT NULL,
    node TEXT,
    -- As in the state, to be found by.
    phase TEXT NOT NULL,
    state TEXT NOT NULL,
    missing_bytes INTEGER,
    created INTEGER NOT NULL,
    bound INTEGER,
    end_within_seconds INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX pods_by_workload ON pods (workload, id);
CREATE INDEX pods_by_node ON pods (node, id);
CREATE INDEX pods_by_namespace ON pods (namespace, id);
CREATE INDEX pods_by_phase ON pods (phase, id);
CREATE INDEX pods_by_name ON pods (name, id);

CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    public_key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    is_cordoned INTEGER NOT NULL,
    is_draining INTEGER NOT NULL,
    facts TEXT,
    joined INTEGER NOT NULL
) STRICT;

-- Each layer once, with a number that stands for it.
CREATE TABLE layers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL UNIQUE,
    size_bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE node_layers (
    node TEXT PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    -- Numbers of layers, four bytes each, little-endian.
    numbers BLOB NOT NULL,
    -- Of layers_head, as this was written.
    version INTEGER NOT NULL
) STRICT;
CREATE INDEX node_layers_by_version ON node_layers (version);

CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    created INTEGER NOT NULL,
    ended INTEGER
) STRICT;
CREATE INDEX operations_by_end ON operations (ended, id);

CREATE TABLE join_tokens (
    hash TEXT PRIMARY KEY,
    hint TEXT NOT NULL,
    expires INTEGER NOT NULL,
    uses_left INTEGER NOT NULL
) STRICT;
CREATE INDEX join_tokens_by_end ON join_tokens (expires);
