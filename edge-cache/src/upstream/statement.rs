//! What an upstream has signed, kept as it comes, so that it can be handed on while it is away.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use longshore_oci::{ManifestVoucher, Reference, RepositoryName, Route};
use longshore_service::signing::unproven;

use super::{Ask, Kind, Upstream};
use crate::statements::{Statements, Vouched};

/// The header that a voucher is asked for by, and comes in.
const VOUCHER: HeaderName = HeaderName::from_static(ManifestVoucher::HEADER);

impl Upstream {
    /// Has what it signs kept here from now on; what was kept of its keys before counts again. What is set first stays.
    pub fn keep_statements(&self, statements: Arc<Statements>) {
        if let Some(keys) = statements.keys(&self.key).filter(|_| self.settings.kind != Kind::Other) {
            self.published.take_up(keys);
        }
        self.statements.set(statements).ok();
    }

    /// Has a manifest's answer bring a voucher, where that would be kept.
    pub(super) fn ask_for_voucher(&self, ask: &mut Ask) {
        if self.statements.get().is_some() && self.settings.kind != Kind::Other && matches!(ask.route, Route::Manifest(..)) {
            ask.headers.insert(VOUCHER, HeaderValue::from_static("1"));
        }
    }

    /// Keeps what came with a manifest's answer. That it is the upstream's own word needs no proof here, as it comes from there; whoever it is
    /// handed on to asks for one.
    pub(super) fn keep_voucher(&self, route: &Route, headers: &HeaderMap) {
        let (Some(statements), Route::Manifest(repository, reference)) = (self.statements.get(), route) else { return };
        let Some(text) = headers.get(VOUCHER).and_then(|text| text.to_str().ok()) else { return };
        let said = Some(text).filter(|text| text.len() <= ManifestVoucher::MOST_BYTES).and_then(unproven::<ManifestVoucher>);
        if let Some(said) = said.filter(|said| is_about(said, repository, reference)) {
            statements.add_manifest(&self.key, Vouched { text: text.into(), said });
        } else {
            tracing::debug!(upstream = %self.name, %repository, %reference, "a manifest's voucher is not for it");
        }
    }

    /// What somebody else says that this upstream has said of a manifest, where it is proven by the keys that are known; an error says why
    /// not.
    pub fn proven_voucher(&self, text: &str, repository: &RepositoryName, reference: &Reference) -> Result<Vouched, String> {
        if text.len() > ManifestVoucher::MOST_BYTES {
            return Err("it is too long".to_owned());
        }
        let said = self.check_known::<ManifestVoucher>(ManifestVoucher::KIND, text).ok_or("the upstream's keys are not known")?;
        let said = said.map_err(|error| error.to_string())?;
        if is_about(&said, repository, reference) {
            Ok(Vouched { text: text.into(), said })
        } else {
            Err("it is for something else".to_owned())
        }
    }
}

/// Whether a voucher is for what a reference names in a repository.
fn is_about(said: &ManifestVoucher, repository: &RepositoryName, reference: &Reference) -> bool {
    let is_it = match reference {
        Reference::Digest(digest) => said.digest == *digest,
        Reference::Tag(tag) => said.tag.as_ref() == Some(tag),
    };
    said.repository == *repository && is_it
}

#[cfg(test)]
mod tests {
    use longshore_oci::{Algorithm, Digest};
    use longshore_service::{
        metrics::Metrics,
        signing::{KeySet, SigningKey},
    };

    use super::*;
    use crate::{
        grants::Place,
        upstream::{UpstreamMetrics, tests::settings},
    };

    fn said() -> ManifestVoucher {
        ManifestVoucher {
            issued_at: 1_700_000_000,
            repository: "team/app".parse().unwrap(),
            digest: Digest::of(Algorithm::Sha256, b"{}"),
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            tag: Some("v1".parse().unwrap()),
            is_whole: true,
            stale_until: 1_700_000_060,
        }
    }

    fn upstream() -> Upstream {
        let nobody = "127.0.0.1:1".parse().unwrap();
        Upstream::new(settings(nobody), &UpstreamMetrics::new(&Metrics::new())).unwrap()
    }

    #[test]
    fn only_what_the_registry_signed_of_this_is_proven() {
        let (key, other) = (SigningKey::generate().0, SigningKey::generate().0);
        let (upstream, ManifestVoucher { repository, digest, .. }) = (upstream(), said());
        let of = |key: &SigningKey, said: &ManifestVoucher| key.sign(ManifestVoucher::KIND, said);
        let (manifest, tag) = (Reference::Digest(digest), Reference::Tag("v1".parse().unwrap()));
        assert!(upstream.proven_voucher(&of(&key, &said()), &repository, &manifest).is_err(), "its keys are not known yet");
        upstream.published.take_up(KeySet::from_iter([key.public()]));
        assert_eq!(upstream.proven_voucher(&of(&key, &said()), &repository, &manifest).unwrap().said, said());
        assert!(upstream.proven_voucher(&of(&key, &said()), &repository, &tag).is_ok());
        let changed = |change: &dyn Fn(&mut ManifestVoucher)| {
            let mut said = said();
            change(&mut said);
            of(&key, &said)
        };
        for (text, reference) in [
            (of(&other, &said()), &manifest),
            (key.sign("longshore-metainfo.v1+jwt", &said()), &manifest),
            (changed(&|said| said.repository = "team/other".parse().unwrap()), &manifest),
            (changed(&|said| said.digest = Digest::of(Algorithm::Sha256, b"other")), &manifest),
            (changed(&|said| said.tag = None), &tag),
            (changed(&|said| said.tag = Some("v2".parse().unwrap())), &tag),
            (changed(&|said| said.media_type = "x".repeat(ManifestVoucher::MOST_BYTES)), &manifest),
            (String::new(), &manifest),
            ("a.b.c".to_owned(), &manifest),
        ] {
            assert!(upstream.proven_voucher(&text, &repository, reference).is_err(), "{reference:?} {text}");
        }
    }

    #[test]
    fn what_comes_with_an_answer_is_kept_where_it_is_of_that() {
        let (upstream, statements) = (upstream(), Arc::new(Statements::new(None).unwrap()));
        let (mut ask, said) = (Ask::get(Route::Manifest(said().repository, Reference::Tag("v1".parse().unwrap()))), said());
        upstream.ask_for_voucher(&mut ask);
        assert!(ask.headers.is_empty(), "it would be kept nowhere");
        upstream.keep_statements(statements.clone());
        upstream.ask_for_voucher(&mut ask);
        assert!(ask.headers.contains_key(VOUCHER));
        let answer = |said: &ManifestVoucher| {
            let signed = SigningKey::generate().0.sign(ManifestVoucher::KIND, said);
            HeaderMap::from_iter([(VOUCHER, HeaderValue::try_from(signed).unwrap())])
        };
        let place = Place::new(&upstream, said.repository.clone());
        let other = ManifestVoucher { tag: None, ..said.clone() };
        for headers in [HeaderMap::new(), HeaderMap::from_iter([(VOUCHER, HeaderValue::from_static("a.b.c"))]), answer(&other)] {
            upstream.keep_voucher(&ask.route, &headers);
            assert!(statements.manifest(&place, &said.digest).is_none());
        }
        upstream.keep_voucher(&ask.route, &answer(&said));
        assert_eq!(statements.manifest(&place, &said.digest).unwrap().said, said);
    }

    #[test]
    fn keys_that_were_kept_prove_what_is_handed_on_after_a_restart() {
        let key = SigningKey::generate().0;
        let upstream = upstream();
        upstream.published.take_up(KeySet::from_iter([key.public()]));
        upstream.published.take_up(KeySet::default());
        let text = key.sign(ManifestVoucher::KIND, &said());
        let proven = upstream.proven_voucher(&text, &said().repository, &Reference::Digest(said().digest));
        assert!(proven.is_ok(), "what is known is not replaced by what was");
    }
}
