use serde_json::{Value, json};

use crate::{Account, Backend, Client, Registry, TokenIssuer, TokenKey};

/// A registry, and an issuer whose tokens it takes: it calls it `ci`, and lets those push below `team` whose repository is
/// `acme/app`, by a rule that it calls `release`.
pub struct Federation {
    /// The registry.
    pub registry: Registry,
    /// The issuer.
    pub issuer: TokenIssuer,
    /// The key that the issuer publishes.
    pub key: TokenKey,
}

impl Federation {
    /// The rule, as roles name it.
    pub const RELEASE: &str = "rule:ci/release";

    /// One that lets those who are refused ask on.
    pub async fn start(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }

    /// Like [`Self::start`], with these values of the registry's configuration.
    pub async fn with(backend: Backend, values: &[(&str, Value)]) -> Self {
        let own: [(&str, Value); 3] = [
            // One name for all replicas, or a token would be for one of them.
            ("auth.service", "registry.example".into()),
            ("auth.failed_logins_per_address", 10_000.into()),
            ("auth.failed_logins_per_account", 10_000.into()),
        ];
        let registry = Registry::with_accounts(backend, &[&own, values].concat()).await;
        let key = TokenKey::p256("key-1");
        let issuer = TokenIssuer::start(&[&key]).await;
        let federation = Self { registry, issuer, key };
        let admin = federation.registry.admin();
        admin.put_issuer("ci", &federation.trust(&json!({}))).await;
        admin.grant(Self::RELEASE, "push", "team/**").await;
        federation
    }

    /// What the registry is told of the issuer; what else there is to say is put over it.
    pub fn trust(&self, more: &Value) -> Value {
        let mut trust = json!({"rules": [{"name": "release", "claims": {"repository": "acme/app"}}]});
        for (name, value) in more.as_object().expect("what is put over an object is one") {
            trust[name] = value.clone();
        }
        self.issuer.trust(&trust)
    }

    /// A token, with these claims put over those that it has anyway; `null` takes a claim away.
    pub fn token(&self, claims: &Value) -> String {
        self.key.token(&self.issuer.claims(claims))
    }

    /// A token that lasts for so many seconds, and then is refused: clocks may be a minute apart.
    pub fn token_ending_in(&self, seconds: i64) -> String {
        self.token(&json!({"exp": jiff::Timestamp::now().as_second() - 60 + seconds}))
    }

    /// A caller who shows this as its secret.
    pub fn bearing(&self, token: &str) -> Client {
        self.registry.as_account(&Account::bearing(token))
    }
}
