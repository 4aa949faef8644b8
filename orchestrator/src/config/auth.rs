//! `[auth]`: who may call.

use longshore_service::{
    choice,
    config::{HttpUrl, Problems},
};

use super::Registry;

choice! {
    /// How callers say who they are.
    pub enum AuthMode {
        /// They don't, and may do everything.
        None = "none",
        /// By tokens of the registry, whose keys check them.
        Registry = "registry",
    }
}

/// Who may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// How callers say who they are.
    pub mode: AuthMode,
    /// Where callers get tokens; `/token` under `registry.url` where there is none.
    pub token_url: Option<HttpUrl>,
    /// Whom tokens are for: what the registry's `auth.service` is.
    pub service: String,
}

impl Default for Auth {
    fn default() -> Self {
        Self { mode: AuthMode::None, token_url: None, service: "longshore".to_owned() }
    }
}

longshore_service::settings!(Auth { mode, token_url, service });

impl Auth {
    pub(super) fn check(&self, registry: &Registry, problems: &mut Problems<'_>) {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if self.service.is_empty() || !self.service.bytes().all(is_word) {
            problems.add(&["auth.service"], "must be made of letters, digits and .-_: alone, and not be empty");
        }
        let is_safe = registry.allow_plain_http || longshore_service::fetch::is_secure(registry.url.as_str());
        if self.mode == AuthMode::Registry && !is_safe {
            problems.add(
                &["registry.url", "registry.allow_plain_http", "auth.mode"],
                "keys that come over plain HTTP could be anybody's: use https, or set registry.allow_plain_http = true",
            );
        }
    }
}
