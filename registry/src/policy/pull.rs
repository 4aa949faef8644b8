//! What a policy says to a pull: a function of the policies, of the evidence there is for an image, and of the time.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use longshore_oci::{Digest, RepositoryName};
use serde::{Deserialize, Serialize};

use super::{
    Verdict, Violation,
    condition::Condition,
    document::{Document, Mode, Overwrites, Policy},
    material::Materials,
    pattern::TextPattern,
};
use crate::{
    signature::{Evidence, Refuted, SIGNATURE_PREDICATE, Signer, Target, Trust, VerifyTimestamp},
    tuf::Roots,
};

/// How long what an identity has not signed stays so without being looked at again.
const UNTRUSTED_FOR: SignedDuration = SignedDuration::from_mins(1);
/// How many reasons are told of evidence that was not taken.
const MOST_REASONS: usize = 3;

/// What must be shown of an image before it may be pulled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRules {
    /// Whether all of it, or any.
    #[serde(default, rename = "match")]
    pub matching: Matching,
    /// What; nothing allows everything.
    #[serde(default)]
    pub require: Vec<RequirementText>,
}

/// How many of several requirements must be satisfied.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// Each.
    #[default]
    All,
    /// One of them.
    Any,
}

/// A requirement as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum RequirementText {
    /// It is signed.
    Signature(SignerText),
    /// Something is stated about it.
    Attestation(AttestationText),
    /// It is signed by Notation.
    Notation(NotationText),
}

/// A signer as it is written: a key, or an identity and who knows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerText {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    identity: Option<TextPattern>,
    #[serde(default)]
    issuer: Option<TextPattern>,
    #[serde(default)]
    trusted_root: Option<String>,
}

/// An attestation as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationText {
    predicate_type: String,
    by: SignerText,
    #[serde(default, rename = "where")]
    conditions: Vec<Condition>,
}

/// Whose Notation signatures will do, in the words of Notation's trust policies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotationText {
    /// The certificates that are believed: `ca:`, `signingAuthority:` or `tsa:`, and the name of a trust store.
    trust_stores: Vec<String>,
    /// Whom they must be for: `x509.subject:` and a part of their subject, or `*` alone.
    identities: Vec<String>,
    /// When timestamps are looked at, where there is a `tsa:`.
    #[serde(default)]
    verify_timestamp: Option<VerifyTimestamp>,
}

/// What a policy asks of an image, ready to be judged.
#[derive(Clone, Debug, Default)]
pub struct Pull {
    matching: Matching,
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug)]
struct Requirement {
    by: Signer,
    /// What must be stated; `None` for a signature, which states nothing more.
    attestation: Option<(String, Vec<Condition>)>,
}

/// What came of a requirement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What was asked.
    pub requirement: String,
    /// The manifest that shows it.
    pub evidence: Option<Digest>,
    /// Why nothing shows it.
    pub reason: Option<String>,
    /// What to do: a command that ends with the image, without the registry in front.
    remedy: Option<[String; 2]>,
}

impl Finding {
    /// Why nothing shows it, and what to do about it at this registry.
    pub fn told(&self, registry: &str) -> Option<String> {
        let reason = self.reason.as_ref()?;
        let Some([command, image]) = &self.remedy else { return Some(reason.clone()) };
        Some(format!("{reason}. {command} {registry}/{image}"))
    }
}

/// What a policy came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// The policy.
    pub policy: String,
    /// What follows where it is not satisfied.
    pub mode: Mode,
    /// Whether it is.
    pub is_satisfied: bool,
    /// Whether one requirement is enough.
    pub matching: Matching,
    /// Each requirement.
    pub findings: Vec<Finding>,
    /// The index that satisfies it, where the image itself does not.
    pub through: Option<Digest>,
    /// Until when that stands, if only the time can change it.
    pub until: Option<Timestamp>,
    /// Whether a tag that is set stays where it is while this is not satisfied by what it would go to.
    pub keeps_tags: bool,
}

/// An image that is to be pulled.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Where.
    pub repository: &'a RepositoryName,
    /// Its digest.
    pub digest: &'a Digest,
    /// Its media type.
    pub media_type: &'a str,
    /// The length of its manifest.
    pub size_bytes: u64,
    /// What may show something of it.
    pub evidence: &'a [Evidence],
    /// Now.
    pub now: Timestamp,
}

impl Materials {
    fn signer(&self, text: &SignerText) -> Result<Signer, String> {
        let SignerText { key, identity, issuer, trusted_root } = text;
        match (key, identity, issuer, trusted_root) {
            (Some(key), None, None, None) => {
                let key = self.keys.get(key).ok_or_else(|| format!("there is no [[key]] {key:?}"))?;
                Ok(Signer::Key(key.clone()))
            }
            (None, Some(identity), Some(issuer), Some(root)) => {
                let authority = self.roots.get(root).ok_or_else(|| format!("there is no [[trusted_root]] {root:?}"))?;
                Ok(Signer::Identity { authority: authority.clone(), identity: identity.clone(), issuer: issuer.clone() })
            }
            _ => Err("a signer is a key, or an identity with its issuer and a trusted_root".to_owned()),
        }
    }

    /// What a policy asks.
    pub fn compile(&self, rules: &PullRules) -> Result<Pull, String> {
        let requirement = |text: &RequirementText| match text {
            RequirementText::Signature(by) => Ok(Requirement { by: self.signer(by)?, attestation: None }),
            RequirementText::Attestation(AttestationText { predicate_type, by, conditions }) => {
                if let Some(problem) = conditions.iter().find_map(Condition::problem) {
                    return Err(problem);
                }
                Ok(Requirement { by: self.signer(by)?, attestation: Some((predicate_type.clone(), conditions.clone())) })
            }
            RequirementText::Notation(NotationText { trust_stores, identities, verify_timestamp }) => {
                let mut trust = Trust::new(trust_stores, identities, |name| self.stores.get(name).cloned())?;
                if let Some(when) = verify_timestamp {
                    trust = trust.verifying_timestamps(*when)?;
                }
                Ok(Requirement { by: Signer::Notation(Arc::new(trust)), attestation: None })
            }
        };
        if rules.matching == Matching::Any && rules.require.is_empty() {
            return Err("any of nothing is asked of pulls".to_owned());
        }
        Ok(Pull { matching: rules.matching, requirements: rules.require.iter().map(requirement).collect::<Result<_, _>>()? })
    }
}

impl Document {
    /// Whether any policy refuses pulls.
    pub fn enforces_pulls(&self) -> bool {
        self.policies.iter().any(|policy| policy.mode == Mode::Enforce && policy.asks_of_pulls())
    }

    /// Whether any policy asks something of what is pulled from there.
    pub fn asks_of_pulls(&self, repository: &RepositoryName) -> bool {
        self.asking(repository).next().is_some()
    }

    /// Whether any policy asks something of what takes over a tag that is set there.
    pub fn keeps_tags(&self, repository: &RepositoryName) -> bool {
        self.asking(repository).any(Policy::keeps_tags)
    }

    /// How many policies ask something of what is pulled from there.
    pub fn count_asking(&self, repository: &RepositoryName) -> usize {
        self.asking(repository).count()
    }

    fn asking(&self, repository: &RepositoryName) -> impl Iterator<Item = &Policy> {
        self.covering(repository).filter(|policy| policy.mode != Mode::Off && policy.asks_of_pulls())
    }

    /// What each policy that asks something says to a pull, in the order in which the document has them.
    pub fn judge_pull(&self, subject: Subject<'_>) -> Vec<Judgement> {
        let judge = |policy: &Policy| policy.pull_compiled.judge(policy, subject);
        self.asking(subject.repository).map(judge).collect()
    }
}

impl Policy {
    fn asks_of_pulls(&self) -> bool {
        self.closed.is_some() || self.pull_compiled.asks()
    }

    fn keeps_tags(&self) -> bool {
        self.push.unsigned_overwrites == Overwrites::Refuse
    }
}

impl Pull {
    /// Whether it asks anything.
    fn asks(&self) -> bool {
        !self.requirements.is_empty()
    }

    /// The TUF repositories that keep the trusted roots which it names.
    pub fn tuf_repositories(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().filter_map(|requirement| match &requirement.by {
            Signer::Identity { authority, .. } => authority.repository(),
            Signer::Key(_) | Signer::Notation(_) => None,
        })
    }

    /// Has its trusted roots be what TUF repositories say now.
    pub fn look_up(&mut self, roots: &Roots) {
        for requirement in &mut self.requirements {
            if let Signer::Identity { authority, .. } = &mut requirement.by
                && let Some(repository) = authority.repository()
            {
                *authority = Arc::new(authority.looked_up(roots.get(repository)));
            }
        }
    }

    fn judge(&self, policy: &Policy, subject: Subject<'_>) -> Judgement {
        let mut until: Option<Timestamp> = None;
        let findings: Vec<Finding> = match &policy.closed {
            None => self.requirements.iter().map(|requirement| requirement.find(subject, &mut until)).collect(),
            Some(reason) => {
                let (requirement, reason) = ("a document that can be read".to_owned(), Some(reason.clone()));
                vec![Finding { requirement, evidence: None, reason, remedy: None }]
            }
        };
        let mut shown = findings.iter().map(|finding| finding.evidence.is_some());
        let is_satisfied = match self.matching {
            Matching::All => shown.all(|shown| shown),
            Matching::Any => shown.any(|shown| shown),
        };
        Judgement {
            policy: policy.name.clone(),
            mode: policy.mode,
            is_satisfied,
            matching: self.matching,
            findings,
            through: None,
            until,
            keeps_tags: policy.keeps_tags(),
        }
    }
}

impl Requirement {
    fn find(&self, subject: Subject<'_>, until: &mut Option<Timestamp>) -> Finding {
        let Subject { repository, digest, media_type, size_bytes, evidence, now } = subject;
        let target = Target { media_type, digest, size_bytes };
        if let Signer::Identity { authority, .. } = &self.by
            && let Some(missing) = authority.missing()
        {
            // What mends that makes another document, so this stands no longer than it must.
            let reason = Some(format!("needs {self}: {missing}"));
            return Finding { requirement: self.to_string(), evidence: None, reason, remedy: None };
        }
        let mut reasons: Vec<String> = Vec::new();
        let mut has_others = false;
        for one in evidence {
            let shown = match &self.attestation {
                None => one.signs(&target, &self.by, now).map(|stands_until| {
                    *until = [*until, stands_until].into_iter().flatten().min();
                }),
                Some((predicate_type, conditions)) => one
                    .states(digest, &self.by, predicate_type)
                    .and_then(|predicate| conditions.iter().try_for_each(|condition| condition.check(&predicate, now, until))),
            };
            match shown {
                Ok(()) => {
                    let evidence = Some(one.manifest.clone());
                    return Finding { requirement: self.to_string(), evidence, reason: None, remedy: None };
                }
                Err(Refuted::Form) => has_others = true,
                Err(refuted) => reasons.push(format!("{}: {refuted}", one.manifest)),
            }
        }
        let found = match reasons.len() {
            0 if has_others => format!("{digest} has none of a form that this signer signs in"),
            0 => format!("{digest} has none"),
            count => {
                let told = reasons.iter().take(MOST_REASONS).cloned().collect::<Vec<_>>().join("; ");
                let more = if count > MOST_REASONS { format!("; and {} more", count - MOST_REASONS) } else { String::new() };
                format!("{digest} has none that will do ({told}{more})")
            }
        };
        if matches!(self.by, Signer::Identity { .. } | Signer::Notation(_)) {
            // A log's clock may be ahead of this one, and a certificate not valid yet.
            let again_at = now.saturating_add(UNTRUSTED_FOR).unwrap_or(now);
            *until = Some(until.map_or(again_at, |until| until.min(again_at)));
        }
        let remedy = [self.remedy(), format!("{repository}@{digest}")];
        let reason = format!("needs {self}: {found}");
        Finding { requirement: self.to_string(), evidence: None, reason: Some(reason), remedy: Some(remedy) }
    }

    fn remedy(&self) -> String {
        let how = match &self.by {
            Signer::Key(_) => " --key …",
            Signer::Identity { .. } => "",
            Signer::Notation(_) => return "Sign it: notation sign".to_owned(),
        };
        match &self.attestation {
            None => format!("Sign it: cosign sign{how}"),
            Some((kind, _)) => format!("Attest it: cosign attest{how} --type {kind} --predicate …"),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.attestation {
            None if matches!(self.by, Signer::Notation(_)) => write!(formatter, "a Notation signature by {}", self.by),
            None => write!(formatter, "a signature by {}", self.by),
            Some((kind, _)) if kind == SIGNATURE_PREDICATE => write!(formatter, "a signature by {}", self.by),
            Some((kind, conditions)) => {
                write!(formatter, "an attestation {kind} by {}", self.by)?;
                for condition in conditions {
                    write!(formatter, ", {condition}")?;
                }
                Ok(())
            }
        }
    }
}

/// What follows from judgements, of all policies together, at this registry.
pub fn verdict(judgements: &[Judgement], registry: &str) -> Verdict {
    let mut verdict = Verdict::default();
    for judgement in judgements.iter().filter(|judgement| !judgement.is_satisfied) {
        let reasons: Vec<String> = judgement.findings.iter().filter_map(|finding| finding.told(registry)).collect();
        let reason = match judgement.matching {
            Matching::All => reasons.join(" It also "),
            Matching::Any => format!("needs one of several: it {}", reasons.join(" Or it ")),
        };
        let violation = Violation { policy: judgement.policy.clone(), reason };
        match judgement.mode {
            Mode::Enforce => verdict.refusals.push(violation),
            Mode::Warn => verdict.warnings.push(violation),
            Mode::Off => {}
        }
    }
    verdict
}
