-- Times are microseconds since 1970, UTC. Ids, digests and names are text as they display, compared as bytes. What programs alone read
-- whole is JSON.

-- One row each: who leads, the last batch that a leader wrote, where the outbox stands, and how often nodes' layers were written.
CREATE TABLE lease (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    holder TEXT COLLATE "C",
    address TEXT COLLATE "C" NOT NULL,
    term BIGINT NOT NULL,
    until BIGINT NOT NULL
);
INSERT INTO lease (one, holder, address, term, until) VALUES (1, NULL, '', 0, 0);

CREATE TABLE committed (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    term BIGINT NOT NULL,
    number BIGINT NOT NULL
);
INSERT INTO committed (one, term, number) VALUES (1, 0, 0);

CREATE TABLE head (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    position BIGINT NOT NULL,
    -- Events up to this one are gone.
    dropped BIGINT NOT NULL
);
INSERT INTO head (one, position, dropped) VALUES (1, 0, 0);

CREATE TABLE layers_head (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    version BIGINT NOT NULL
);
INSERT INTO layers_head (one, version) VALUES (1, 0);

CREATE TABLE events (
    position BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    change TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C",
    name TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C",
    object TEXT
);
CREATE INDEX events_by_id ON events (id, position);
CREATE INDEX events_by_namespace ON events (namespace, position);

CREATE TABLE audit (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    account TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C",
    request TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C"
);
CREATE INDEX audit_by_time ON audit (at);

-- What callers were answered to operations that they named.
CREATE TABLE answers (
    caller TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    request TEXT COLLATE "C" NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (caller, id)
);
CREATE INDEX answers_by_time ON answers (at);

CREATE TABLE namespaces (
    name TEXT COLLATE "C" PRIMARY KEY,
    revision BIGINT NOT NULL,
    spec TEXT NOT NULL,
    -- The specification's quota; no limit where there is none.
    quota_cpu_millis BIGINT,
    quota_memory_bytes BIGINT,
    quota_pods BIGINT,
    asked_cpu_millis BIGINT NOT NULL,
    asked_memory_bytes BIGINT NOT NULL,
    asked_pods BIGINT NOT NULL
);
INSERT INTO namespaces (name, revision, spec, asked_cpu_millis, asked_memory_bytes, asked_pods)
VALUES ('default', 1, '{"name":"default"}', 0, 0, 0);

CREATE TABLE workloads (
    id TEXT COLLATE "C" PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL REFERENCES namespaces (name),
    name TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    template_revision BIGINT NOT NULL,
    spec TEXT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    deleted BIGINT,
    status TEXT NOT NULL,
    UNIQUE (namespace, kind, name)
);
CREATE INDEX workloads_by_kind ON workloads (kind, id);
CREATE INDEX workloads_by_namespace ON workloads (namespace, id);

CREATE TABLE revisions (
    workload TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    template TEXT NOT NULL,
    image TEXT COLLATE "C" NOT NULL,
    layers TEXT NOT NULL,
    created BIGINT NOT NULL,
    author TEXT COLLATE "C",
    PRIMARY KEY (workload, number)
);

CREATE TABLE rollouts (
    workload TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    template_revision BIGINT NOT NULL,
    state TEXT NOT NULL,
    began BIGINT NOT NULL,
    ended BIGINT,
    PRIMARY KEY (workload, revision)
);

CREATE TABLE pods (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    workload TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    node TEXT COLLATE "C",
    -- As in the state, to be found by.
    phase TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    missing_bytes BIGINT,
    created BIGINT NOT NULL,
    bound BIGINT,
    end_within_seconds BIGINT
);
CREATE INDEX pods_by_workload ON pods (workload, id);
CREATE INDEX pods_by_node ON pods (node, id);
CREATE INDEX pods_by_namespace ON pods (namespace, id);
CREATE INDEX pods_by_phase ON pods (phase, id);
CREATE INDEX pods_by_name ON pods (name, id);

CREATE TABLE nodes (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    public_key TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    is_cordoned BOOLEAN NOT NULL,
    is_draining BOOLEAN NOT NULL,
    facts TEXT,
    joined BIGINT NOT NULL
);

-- Each layer once, with a number that stands for it.
CREATE TABLE layers (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest TEXT COLLATE "C" NOT NULL UNIQUE,
    size_bytes BIGINT NOT NULL
);

CREATE TABLE node_layers (
    node TEXT COLLATE "C" PRIMARY KEY REFERENCES nodes (id) ON DELETE CASCADE,
    -- Numbers of layers, four bytes each, little-endian.
    numbers BYTEA NOT NULL,
    -- Of layers_head, as this was written.
    version BIGINT NOT NULL
);
CREATE INDEX node_layers_by_version ON node_layers (version);

CREATE TABLE operations (
    id TEXT COLLATE "C" PRIMARY KEY,
    content TEXT NOT NULL,
    created BIGINT NOT NULL,
    ended BIGINT
);
CREATE INDEX operations_by_end ON operations (ended, id);

CREATE TABLE join_tokens (
    hash TEXT COLLATE "C" PRIMARY KEY,
    hint TEXT COLLATE "C" NOT NULL,
    expires BIGINT NOT NULL,
    uses_left BIGINT NOT NULL
);
CREATE INDEX join_tokens_by_end ON join_tokens (expires);
