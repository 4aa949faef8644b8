use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use crate::{Account, Registry, Upstream, Wire};

/// A registry as an edge is told of it: one `[[upstream]]` of its configuration.
#[derive(Clone, Debug)]
pub struct EdgeUpstream(BTreeMap<String, Value>);

impl EdgeUpstream {
    /// One at a URL.
    pub fn new(name: &str, url: &str) -> Self {
        // A test that waits for an attempt that has failed would wait for its pause, too.
        let values = [("name", name), ("url", url), ("backoff_min", "5ms"), ("backoff_max", "50ms")];
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        // Nor would it learn what the next attempt comes to if there was none.
        Self(values).set("breaker_failures", 0)
    }

    /// One of ours.
    pub fn longshore(registry: &Registry) -> Self {
        Self::new("harbor", registry.url())
    }

    /// One of ours behind a wire.
    pub fn through(wire: &Wire) -> Self {
        Self::new("harbor", &format!("http://{}", wire.address()))
    }

    /// One of the tests' own.
    pub fn other(upstream: &Upstream) -> Self {
        Self::new("elsewhere", &upstream.url())
    }

    /// With a setting of its own.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// With credentials of the edge's own.
    #[must_use]
    pub fn as_account(self, account: &Account) -> Self {
        self.set("username", account.name.as_str()).set("password", account.secret.as_str())
    }

    pub(crate) fn to_toml(&self) -> String {
        let mut text = "[[upstream]]\n".to_owned();
        for (key, value) in &self.0 {
            writeln!(text, "{key} = {value}").expect("a string takes all that is written");
        }
        text
    }
}
