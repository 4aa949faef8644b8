//! Who calls, and what they may do: people and their tools by tokens of the registry, nodes by tokens that they sign themselves.

mod caller;
mod keys;
mod nodes;
mod page;

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, Uri, header};
use jiff::Timestamp;
use longshore_fleet::Name;
pub use longshore_oci::NamespaceRight as Right;
use longshore_oci::{AccessToken, Scope};
use longshore_service::signing::InvalidSignature;

use crate::{
    config::{AuthMode, Config},
    error::Error,
    image::ImageResolver,
};

pub use caller::Caller;
use keys::RegistryKeys;
pub(crate) use nodes::{InvalidPublicKey, NodeTokens, PublicKeyText};

/// The longest token that is looked at, in bytes.
const MOST_BYTES: usize = 64 << 10;

/// Finds out who calls.
#[derive(Debug)]
pub struct Access {
    tokens: Option<Tokens>,
    /// The host by which nodes and other replicas reach this one, where it has such a name.
    own_name: Option<String>,
}

/// Tokens of the registry are taken.
#[derive(Debug)]
struct Tokens {
    keys: RegistryKeys,
    service: String,
    realm: String,
}

impl Access {
    /// That of a configuration.
    pub fn new(config: &Config, resolver: &ImageResolver) -> Arc<Self> {
        let token_url =
            || config.auth.token_url.as_ref().map_or_else(|| format!("{}/token", config.registry.url), ToString::to_string);
        let tokens = (config.auth.mode == AuthMode::Registry).then(|| Tokens {
            keys: RegistryKeys::new(resolver.own().with_credentials(None)),
            service: config.auth.service.clone(),
            realm: token_url(),
        });
        let own_name = config.listen.advertise_url.as_ref().and_then(|url| url.as_str().parse::<Uri>().ok());
        let own_name = own_name.and_then(|url| url.host().map(str::to_owned));
        Arc::new(Self { tokens, own_name })
    }

    /// That no page of the web stands behind a request, where that would be enough to do everything.
    pub fn refuse_pages(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Error> {
        // A page has no token, and browsers add none by themselves.
        if self.tokens.is_some() { Ok(()) } else { page::refuse(uri, headers, self.own_name.as_deref()) }
    }

    /// Who sends a request with these headers from an address.
    pub async fn identify(&self, headers: &HeaderMap, address: IpAddr) -> Result<Caller, Error> {
        let Some(tokens) = &self.tokens else { return Ok(Caller::unasked(address)) };
        let Some(shown) = headers.get(header::AUTHORIZATION) else { return Ok(Caller::nobody(address)) };
        let refused = |reason: &str| Error::Unauthorized {
            reason: format!("the token was not taken: {reason}"),
            challenge: tokens.challenge(Some(Scope::new(Scope::NAMESPACE, Scope::ALL, &[])), Some("invalid_token")),
        };
        let text = shown.to_str().ok().and_then(bearer).ok_or_else(|| refused("it is not one that follows Bearer"))?;
        if text.len() > MOST_BYTES {
            return Err(refused("it is too long"));
        }
        let token: AccessToken = match tokens.keys.check(AccessToken::KIND, text).await.ok_or(Error::KeysUnavailable)? {
            Ok(token) => token,
            Err(InvalidSignature::UnknownKey(_)) => return Err(refused("the registry did not sign it with any key of its own")),
            Err(error) => return Err(refused(&error.to_string())),
        };
        if token.peer_id.is_some() {
            return Err(refused("it is one of a peer in a swarm"));
        }
        if !token.holds(&tokens.service, Timestamp::now().as_second()) {
            return Err(refused("it has ended, or is for another service"));
        }
        Ok(Caller::with_token(token, address))
    }

    /// That a caller may do something in a namespace, or in all of them where none is named; or what it is told.
    pub fn require(&self, caller: &Caller, right: Right, namespace: Option<&Name>) -> Result<(), Error> {
        if caller.may(right, namespace) {
            return Ok(());
        }
        let Some(tokens) = &self.tokens else { unreachable!("who is not asked may do everything") };
        let place = namespace.map_or_else(|| "all namespaces".to_owned(), |name| format!("the namespace {name}"));
        let what = format!("{} in {place}", told(right));
        let pattern = namespace.map_or(Scope::ALL, Name::as_str);
        // All rights are asked for at once: a token that names the place says all that its bearer may do there, so that another would say no
        // more.
        let rights = Right::ALL.map(Right::as_str);
        let scope = Scope::new(Scope::NAMESPACE, pattern, &rights);
        if !caller.is_anonymous() && caller.asked_for(&scope) {
            return Err(Error::Forbidden { caller: caller.name().to_owned(), what, grant: grant(caller.name(), right, pattern) });
        }
        let error = caller.has_token().then_some("insufficient_scope");
        let reason = if caller.is_anonymous() {
            format!("say who you are: nobody in particular may {what}")
        } else {
            format!("the token is not one to {what}")
        };
        Err(Error::Unauthorized { reason, challenge: tokens.challenge(Some(scope), error) })
    }
}

impl Tokens {
    /// Where to get a token, and for what (Docker registry token specification; RFC 6750).
    fn challenge(&self, scope: Option<Scope>, error: Option<&str>) -> String {
        let scope =
            scope.filter(|scope| !scope.actions.is_empty()).map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
        let error = error.map(|error| format!(",error=\"{error}\"")).unwrap_or_default();
        format!("Bearer realm=\"{}\",service=\"{}\"{scope}{error}", self.realm, self.service)
    }
}

/// What a right lets do, after `may`.
const fn told(right: Right) -> &'static str {
    match right {
        Right::View => "look at what is",
        Right::Rollback => "scale or roll back what is",
        Right::Deploy => "change what runs",
        Right::Admin => "administer what is",
    }
}

/// The words by which whoever administers the registry lets a caller do it, where that is a role's to have.
fn grant(caller: &str, right: Right, pattern: &str) -> String {
    // Of an issuer's callers the issuer's name comes first, and their roles are those of a rule.
    let subject = caller.split_once(':').map_or_else(|| caller.to_owned(), |(issuer, _)| format!("rule:{issuer}/RULE"));
    let flag = if right == Right::Admin { "namespace-admin" } else { right.as_str() };
    let pattern = if pattern == Scope::ALL { "'*'" } else { pattern };
    format!("longshore role grant {subject} --{flag} {pattern}")
}

/// What follows `Bearer`.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
