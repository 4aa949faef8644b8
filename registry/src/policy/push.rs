//! What a policy says to a push: a function of the policies and of what is pushed.

use std::ops::AddAssign;

use longshore_oci::{Digest, Manifest, ManifestKind, RepositoryName, Tag};

use super::{
    document::{Document, Mode, Policy, PushRules},
    pattern::TextPattern,
};

/// Where an image says what it was built on (OCI image-spec, "Pre-Defined Annotation Keys").
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// A policy that is not satisfied, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("policy {policy:?}{} {reason}", if reason.starts_with("needs ") { "" } else { ":" })]
pub struct Violation {
    /// The policy.
    pub policy: String,
    /// What it asks for, and what was found.
    pub reason: String,
}

/// A manifest that is pushed.
#[derive(Clone, Copy)]
pub struct Push<'a> {
    /// Where.
    pub repository: &'a RepositoryName,
    /// Its digest.
    pub digest: &'a Digest,
    /// What is read in it.
    pub manifest: &'a Manifest,
    /// Its length.
    pub size_bytes: u64,
}

/// What policies say to something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verdict {
    /// Why it is refused, if it is.
    pub refusals: Vec<Violation>,
    /// What is wrong with it and does not keep it out.
    pub warnings: Vec<Violation>,
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.refusals.extend(other.refusals);
        self.warnings.extend(other.warnings);
    }
}

impl Document {
    /// What its policies say to a push.
    pub fn judge(&self, push: Push<'_>) -> Verdict {
        self.verdict(push.repository, |policy| match &policy.closed {
            Some(reason) => vec![reason.clone()],
            None => policy.push.reasons(push),
        })
    }

    /// What they say where a tag at `from` is to go to `to`, or away.
    pub fn judge_move(&self, repository: &RepositoryName, tag: &Tag, from: &Digest, to: Option<&Digest>) -> Verdict {
        if to == Some(from) {
            return Verdict::default();
        }
        let reason = format!("tag {tag} stays at {from}: its like are never moved or deleted; push under another tag");
        // What is pushed is refused by a policy that can't be read whatever becomes of the tag.
        let closed = |policy: &Policy| if to.is_none() { policy.closed.clone() } else { None };
        let told = |policy: &Policy| if policy.push.holds(tag) { Some(reason.clone()) } else { closed(policy) };
        self.verdict(repository, |policy| told(policy).into_iter().collect())
    }

    /// Whether a tag stays where it is.
    pub fn is_frozen(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        self.covering(repository).any(|policy| policy.mode == Mode::Enforce && policy.push.holds(tag))
    }

    /// Whether any policy has to be asked before a tag is moved.
    pub fn is_about(&self, repository: &RepositoryName, tag: &Tag) -> bool {
        self.covering(repository).any(|policy| policy.mode != Mode::Off && policy.push.holds(tag))
    }

    fn verdict(&self, repository: &RepositoryName, reasons: impl Fn(&Policy) -> Vec<String>) -> Verdict {
        let mut verdict = Verdict::default();
        for policy in self.covering(repository) {
            let found = match policy.mode {
                Mode::Enforce => &mut verdict.refusals,
                Mode::Warn => &mut verdict.warnings,
                Mode::Off => continue,
            };
            found.extend(reasons(policy).into_iter().map(|reason| Violation { policy: policy.name.clone(), reason }));
        }
        verdict
    }

    /// The policies on a repository.
    pub(super) fn covering(&self, repository: &RepositoryName) -> impl Iterator<Item = &Policy> {
        self.policies.iter().filter(|policy| policy.repositories.iter().any(|pattern| pattern.covers(repository)))
    }
}

impl PushRules {
    /// Whether a tag stays where it was first set.
    fn holds(&self, tag: &Tag) -> bool {
        let covers = |patterns: &[TextPattern]| patterns.iter().any(|pattern| pattern.covers_tag(tag));
        covers(&self.immutable_tags) && !covers(&self.mutable_tags)
    }

    fn reasons(&self, Push { digest, manifest, size_bytes, .. }: Push<'_>) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(taken) = &self.media_types
            && !taken.iter().any(|pattern| pattern.covers(&manifest.media_type))
        {
            reasons.push(format!("manifests of media type {} are not taken; {} are", manifest.media_type, list(taken)));
        }
        if let Some(limit) = self.max_manifest_size
            && size_bytes > limit.as_bytes()
        {
            reasons.push(format!("the manifest has {size_bytes} bytes, more than {limit}"));
        }
        if let ManifestKind::Image { layers, .. } = &manifest.kind {
            if let Some(limit) = self.max_layers
                && layers.len() > limit
            {
                reasons.push(format!("the image has {} layers, more than {limit}", layers.len()));
            }
            if let Some(taken) = &self.layer_media_types
                && let Some(layer) = layers.iter().find(|layer| !taken.iter().any(|pattern| pattern.covers(&layer.media_type)))
            {
                // A client may write anything there.
                let kind: String = layer.media_type.chars().take(255).collect();
                reasons.push(format!("layers of media type {kind:?} are not taken, as {} is; {} are", layer.digest, list(taken)));
            }
        }
        if let Some(refused) = self.refused_content.iter().find(|refused| *refused == digest || is_made_of(manifest, refused)) {
            reasons.push(format!("it is {refused}, made of it or built on it, which is refused"));
        }
        reasons
    }
}

fn is_made_of(manifest: &Manifest, digest: &Digest) -> bool {
    let mut named = manifest.blobs().chain(manifest.children());
    named.any(|content| content.digest == *digest)
        || manifest.annotations.get(BASE_DIGEST).is_some_and(|base| base == digest.as_str())
}

fn list(patterns: &[TextPattern]) -> String {
    patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use longshore_oci::Algorithm;
    use serde_json::json;

    use super::{super::document::InvalidDocument, *};

    const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn digest(text: &str) -> Digest {
        Digest::of(Algorithm::Sha256, text.as_bytes())
    }

    fn image(layers: &[(&str, &str)], base: Option<&str>) -> Manifest {
        let descriptor = |(kind, text): &(&str, &str)| json!({ "mediaType": kind, "digest": digest(text), "size": text.len() });
        let mut image = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor(&("application/vnd.oci.image.config.v1+json", "config")),
            "layers": layers.iter().map(descriptor).collect::<Vec<_>>(),
        });
        if let Some(base) = base {
            image["annotations"] = json!({ BASE_DIGEST: digest(base) });
        }
        Manifest::parse(&serde_json::to_vec(&image).unwrap(), None).unwrap()
    }

    fn judge(rules: &str, manifest: &Manifest, size_bytes: u64) -> Verdict {
        let text = format!("[[policy]]\nname = 'p'\nrepositories = ['prod/**']\n{rules}");
        let document = Document::parse(&text).unwrap();
        let elsewhere: RepositoryName = "dev/app".parse().unwrap();
        let digest = &digest("manifest");
        assert_eq!(document.judge(Push { repository: &elsewhere, digest, manifest, size_bytes }), Verdict::default());
        document.judge(Push { repository: &"prod/a/b".parse().unwrap(), digest, manifest, size_bytes })
    }

    #[test]
    fn each_rule_refuses_what_it_is_about() {
        let image = image(&[(LAYER, "one"), ("application/x-other", "two")], Some("base"));
        let [two, base, config, manifest, none] = ["two", "base", "config", "manifest", "none"].map(digest);
        let cases = [
            ("media_types = ['application/vnd.docker.*']".to_owned(), "are not taken; application/vnd.docker.* are"),
            ("max_layers = 1".to_owned(), "the image has 2 layers, more than 1"),
            ("max_manifest_size = '1KiB'".to_owned(), "the manifest has 1025 bytes, more than 1KiB"),
            (format!("layer_media_types = ['{LAYER}']"), "layers of media type \"application/x-other\" are not taken"),
            (format!("refused_content = ['{none}', '{two}']"), "made of it or built on it"),
            (format!("refused_content = ['{manifest}']"), "made of it or built on it"),
            (format!("refused_content = ['{config}']"), "made of it or built on it"),
            (format!("refused_content = ['{base}']"), "built on it, which is refused"),
        ];
        for (rule, reason) in &cases {
            let verdict = judge(&format!("[policy.push]\n{rule}"), &image, 1025);
            assert_eq!(verdict.refusals.len(), 1, "{rule}: {verdict:?}");
            assert!(verdict.refusals[0].to_string().starts_with("policy \"p\": "), "{verdict:?}");
            assert!(verdict.refusals[0].reason.contains(reason), "{rule}: {verdict:?}");
            let warned = judge(&format!("mode = 'warn'\n[policy.push]\n{rule}"), &image, 1025);
            assert_eq!((warned.refusals.len(), warned.warnings.clone()), (0, verdict.refusals));
            assert_eq!(judge(&format!("mode = 'off'\n[policy.push]\n{rule}"), &image, 1025), Verdict::default());
        }
        let all: Vec<&str> = cases[..4].iter().map(|(rule, _)| rule.as_str()).collect();
        assert_eq!(judge(&format!("[policy.push]\n{}", all.join("\n")), &image, 1025).refusals.len(), 4, "all at once");
    }

    #[test]
    fn each_rule_lets_through_what_it_is_about() {
        let image = image(&[(LAYER, "one"), (LAYER, "two")], None);
        let rules = format!(
            "[policy.push]\nmedia_types = ['application/vnd.oci.*']\nmax_layers = 2\nmax_manifest_size = '1KiB'\n\
             layer_media_types = ['*+gzip', '*+zstd']\nrefused_content = ['{}']\nimmutable_tags = ['*']",
            digest("none")
        );
        assert_eq!(judge(&rules, &image, 1024), Verdict::default());
    }

    #[test]
    fn tags_stay_but_for_exceptions() {
        let text = "[[policy]]\nname = 'warned'\nrepositories = ['**']\nmode = 'warn'\n[policy.push]\nimmutable_tags = ['*']\n\
                    [[policy]]\nname = 'kept'\nrepositories = ['prod/*']\n\
                    [policy.push]\nimmutable_tags = ['v*', 'r*']\nmutable_tags = ['v*-dev']\n";
        let document = Document::parse(text).unwrap();
        let [from, to] = ["from", "to"].map(digest);
        let by = |repository: &str, tag: &str| {
            let (repository, tag) = (repository.parse().unwrap(), tag.parse().unwrap());
            assert_eq!(document.judge_move(&repository, &tag, &from, Some(&from)), Verdict::default());
            let verdict = document.judge_move(&repository, &tag, &from, Some(&to));
            assert_eq!(document.judge_move(&repository, &tag, &from, None), verdict);
            assert_eq!(document.is_frozen(&repository, &tag), !verdict.refusals.is_empty());
            assert!(document.is_about(&repository, &tag));
            let names = |found: Vec<Violation>| found.into_iter().map(|violation| violation.policy).collect::<Vec<_>>();
            (names(verdict.refusals), names(verdict.warnings))
        };
        let (kept, warned) = (vec!["kept".to_owned()], vec!["warned".to_owned()]);
        assert_eq!(by("prod/app", "v1"), (kept.clone(), warned.clone()));
        assert_eq!(by("prod/app", "r1"), (kept, warned.clone()));
        assert_eq!(by("prod/app", "v1-dev"), (Vec::new(), warned.clone()));
        assert_eq!(by("prod/app/x", "v1"), (Vec::new(), warned));
    }

    #[test]
    fn a_document_is_read_whole_or_refused_with_reasons() {
        assert!(Document::parse("").unwrap().policies.is_empty());
        let shape = |text: &str| Document::parse(text).unwrap_err().to_string();
        assert!(shape("[[policy]]\nname = 'p'\n").contains("missing field `repositories`"));
        assert!(shape("[[policy]]\nname = 'p'\nrepositories = ['**']\nmood = 'warn'\n").contains("mood"));
        assert!(shape("[[policy]]\nname = 'p'\nrepositories = ['a*']\n").contains("no pattern of repositories"));
        assert!(
            shape("[[policy]]\nname = 'p'\nrepositories = ['**']\n[policy.push]\nmax_manifest_size = '1 elephant'\n")
                .contains("elephant")
        );
        assert!(
            shape("[[policy]]\nname = 'p'\nrepositories = ['**']\n[policy.push]\nrefused_content = ['x']\n").contains("line 5")
        );
        assert!(
            shape("[[policy]]\nname = 'p'\nrepositories = ['**']\n[policy.push]\nimmutable_tags = ['v 1']\n")
                .contains("no pattern")
        );
        assert!(
            shape("[[policy]]\nname = 'p'\nrepositories = ['**']\n[policy.push]\nmedia_types = []\n").contains("no media type")
        );
        let twice = "[[policy]]\nname = 'p p'\nrepositories = []\n[policy.push]\nmutable_tags = ['x']\n".repeat(2);
        let Err(InvalidDocument::Sense(problems)) = Document::parse(&twice) else { panic!("it makes no sense") };
        assert_eq!(problems.len(), 7, "{problems:?}");
    }
}
