//! What a policy says to a pull: a function of the policies, of the evidence there is for an image, and of the time.

use std::{collections::BTreeMap, fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use longshore_oci::{Digest, RepositoryName};
use longshore_service::config::Duration;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::{
    Verdict, Violation,
    document::{Document, Mode, Policy},
    pattern::TextPattern,
};
use crate::signature::{Evidence, InvalidSigner, Key, Refuted, SIGNATURE_PREDICATE, Signer, TrustedAuthority};

/// How far ahead of this clock a time in a predicate may be.
const MOST_AHEAD: SignedDuration = SignedDuration::from_mins(5);
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

/// What a field of a predicate must be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The way to it: `/` and a member's name or an element's number, again and again; `*` for each there is.
    field: String,
    #[serde(flatten)]
    test: Test,
}

/// A test of the values that a field's way leads to.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Test {
    /// There is one, and each is this.
    Equals(Value),
    /// None is this.
    Not(Value),
    /// There is one, and each is a text that the pattern covers.
    Matches(TextPattern),
    /// There is one, and each is a number of at most this.
    AtMost(f64),
    /// There is one, and each is a time that is not longer ago.
    NewerThan(#[serde(deserialize_with = "duration")] Duration),
    /// There is one, or none.
    Exists(bool),
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
}

/// A key or a trusted root, by the name that requirements have for it; in place, or in a file beside the document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// Its name.
    pub name: String,
    /// Its file.
    #[serde(default)]
    pub file: Option<String>,
    /// Its text.
    #[serde(default)]
    pub text: Option<String>,
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
        let (reason, [command, image]) = (self.reason.as_ref()?, self.remedy.as_ref()?);
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
}

/// An image that is to be pulled.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Where.
    pub repository: &'a RepositoryName,
    /// Its digest.
    pub digest: &'a Digest,
    /// What may show something of it.
    pub evidence: &'a [Evidence],
    /// Now.
    pub now: Timestamp,
}

/// The keys and trusted roots of a document, by name.
pub struct Materials {
    keys: BTreeMap<String, Arc<Key>>,
    roots: BTreeMap<String, Arc<TrustedAuthority>>,
}

impl Materials {
    /// Reads them; `text` finds what is in a file. What is wrong is added to the problems.
    pub fn read(
        keys: &[Material],
        roots: &[Material],
        text: impl Fn(&Material) -> Result<String, String>,
        problems: &mut Vec<String>,
    ) -> Self {
        Self {
            keys: read_all(keys, &text, Key::parse, problems),
            roots: read_all(roots, &text, TrustedAuthority::parse, problems),
        }
    }

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
        };
        if rules.matching == Matching::Any && rules.require.is_empty() {
            return Err("any of nothing is asked of pulls".to_owned());
        }
        Ok(Pull { matching: rules.matching, requirements: rules.require.iter().map(requirement).collect::<Result<_, _>>()? })
    }
}

fn read_all<T>(
    materials: &[Material],
    text: impl Fn(&Material) -> Result<String, String>,
    parse: impl Fn(&str, &str) -> Result<T, InvalidSigner>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Arc<T>> {
    let mut read = BTreeMap::new();
    for material in materials {
        let parsed = text(material).and_then(|text| parse(&material.name, &text).map_err(|error| error.to_string()));
        match parsed {
            Ok(parsed) => {
                if read.insert(material.name.clone(), Arc::new(parsed)).is_some() {
                    problems.push(format!("there is more than one {:?}", material.name));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    read
}

impl Document {
    /// Whether any policy refuses pulls.
    pub fn enforces_pulls(&self) -> bool {
        self.policies.iter().any(|policy| policy.mode == Mode::Enforce && !policy.pull_compiled.requirements.is_empty())
    }

    /// Whether any policy asks something of what is pulled from there.
    pub fn asks_of_pulls(&self, repository: &RepositoryName) -> bool {
        self.asking(repository).next().is_some()
    }

    fn asking(&self, repository: &RepositoryName) -> impl Iterator<Item = &Policy> {
        self.covering(repository).filter(|policy| policy.mode != Mode::Off && !policy.pull_compiled.requirements.is_empty())
    }

    /// What each policy that asks something says to a pull.
    pub fn judge_pull(&self, subject: Subject<'_>) -> Vec<Judgement> {
        let judge = |policy: &Policy| policy.pull_compiled.judge(policy, subject);
        self.asking(subject.repository).map(judge).collect()
    }
}

impl Pull {
    fn judge(&self, policy: &Policy, subject: Subject<'_>) -> Judgement {
        let mut until: Option<Timestamp> = None;
        let findings: Vec<Finding> = self.requirements.iter().map(|requirement| requirement.find(subject, &mut until)).collect();
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
        }
    }
}

impl Requirement {
    fn find(&self, Subject { repository, digest, evidence, now }: Subject<'_>, until: &mut Option<Timestamp>) -> Finding {
        let mut reasons: Vec<String> = Vec::new();
        for one in evidence {
            let shown = match &self.attestation {
                None => one.signs(digest, &self.by),
                Some((predicate_type, conditions)) => one
                    .states(digest, &self.by, predicate_type)
                    .and_then(|predicate| conditions.iter().try_for_each(|condition| condition.check(&predicate, now, until))),
            };
            match shown {
                Ok(()) => {
                    let evidence = Some(one.manifest.clone());
                    return Finding { requirement: self.to_string(), evidence, reason: None, remedy: None };
                }
                Err(Refuted::Form) => {}
                Err(refuted) => reasons.push(format!("{}: {refuted}", one.manifest)),
            }
        }
        let found = match reasons.len() {
            0 => format!("{digest} has none"),
            count => {
                let told = reasons.iter().take(MOST_REASONS).cloned().collect::<Vec<_>>().join("; ");
                let more = if count > MOST_REASONS { format!("; and {} more", count - MOST_REASONS) } else { String::new() };
                format!("{digest} has none that will do ({told}{more})")
            }
        };
        if matches!(self.by, Signer::Identity { .. }) {
            // A log's clock may be ahead of this one.
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

impl Condition {
    /// Whether a predicate is so now. How long what only the time can change stays so is kept in `until`.
    fn check(&self, predicate: &Value, now: Timestamp, until: &mut Option<Timestamp>) -> Result<(), Refuted> {
        let mut values = Vec::new();
        let way: Vec<&str> = self.field[1..].split('/').collect();
        collect(predicate, &way, &mut values);
        let each = |test: &dyn Fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| test(value));
        let is_so = match &self.test {
            Test::Equals(expected) => each(&|value| is_equal(value, expected)),
            Test::Not(unwanted) => {
                Self::can_be_empty(predicate, &way, &values) && !values.iter().any(|value| is_equal(value, unwanted))
            }
            Test::Matches(pattern) => each(&|value| value.as_str().is_some_and(|text| pattern.covers(text))),
            Test::AtMost(limit) => each(&|value| value.as_f64().is_some_and(|number| number <= *limit)),
            Test::NewerThan(age) => {
                let age = SignedDuration::try_from(age.get()).unwrap_or(SignedDuration::MAX);
                let latest = now.saturating_add(MOST_AHEAD).unwrap_or(now);
                let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok().filter(|time| *time <= latest);
                let end = |value: &Value| time(value)?.checked_add(age).ok();
                let ends: Option<Vec<Timestamp>> = values.iter().map(|value| end(value)).collect();
                let first_end = ends.and_then(|ends| ends.into_iter().min()).filter(|end| now < *end);
                if let Some(end) = first_end {
                    *until = Some(until.map_or(end, |until| until.min(end)));
                }
                first_end.is_some()
            }
            Test::Exists(expected) => values.is_empty() != *expected,
        };
        if is_so { Ok(()) } else { Err(Refuted::Predicate(format!("not {self}"))) }
    }
}

impl Condition {
    /// Whether there may be no value: where there are some, or where what would hold each of them is there.
    fn can_be_empty(predicate: &Value, way: &[&str], values: &[&Value]) -> bool {
        let Some(first_star) = way.iter().position(|step| *step == "*") else { return !values.is_empty() };
        let mut holders = Vec::new();
        collect(predicate, &way[..first_star], &mut holders);
        !holders.is_empty()
    }

    /// What makes no sense in it.
    fn problem(&self) -> Option<String> {
        let Self { field, test } = self;
        let is_date = |value: &Value| value.is_object();
        match test {
            _ if !field.starts_with('/') => Some(format!("the field {field:?} must begin with /")),
            Test::Equals(value) | Test::Not(value) if is_date(value) => {
                Some(format!("the field {field:?} is compared with a table or a date; times are texts in JSON"))
            }
            Test::AtMost(limit) if limit.is_nan() => Some(format!("the field {field:?} is compared with nan")),
            _ => None,
        }
    }
}

/// Whether two values are the same; 3 is 3.0.
fn is_equal(value: &Value, other: &Value) -> bool {
    match (value.as_f64(), other.as_f64()) {
        (Some(value), Some(other)) => value.total_cmp(&other).is_eq(),
        _ => value == other,
    }
}

/// The values that a way leads to.
fn collect<'a>(value: &'a Value, way: &[&str], found: &mut Vec<&'a Value>) {
    let Some((step, rest)) = way.split_first() else {
        found.push(value);
        return;
    };
    match (value, *step) {
        (Value::Object(members), "*") => members.values().for_each(|member| collect(member, rest, found)),
        (Value::Array(elements), "*") => elements.iter().for_each(|element| collect(element, rest, found)),
        // As RFC 6901 writes what would part names.
        (Value::Object(members), name) => {
            let member = members.get(&name.replace("~1", "/").replace("~0", "~"));
            if let Some(member) = member {
                collect(member, rest, found);
            }
        }
        (Value::Array(elements), number) => {
            let element = number.parse::<usize>().ok().and_then(|number| elements.get(number));
            if let Some(element) = element {
                collect(element, rest, found);
            }
        }
        _ => {}
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ", self.field)?;
        match &self.test {
            Test::Equals(value) => write!(formatter, "is {value}"),
            Test::Not(value) => write!(formatter, "is nowhere {value}"),
            Test::Matches(pattern) => write!(formatter, "is like {pattern}"),
            Test::AtMost(limit) => write!(formatter, "is at most {limit}"),
            Test::NewerThan(age) => write!(formatter, "is newer than {age}"),
            Test::Exists(true) => formatter.write_str("is there"),
            Test::Exists(false) => formatter.write_str("is not there"),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(condition: &str, predicate: &Value) -> (bool, Option<Timestamp>) {
        let condition: Condition = toml::from_str(condition).unwrap();
        let mut until = None;
        let is_so = condition.check(predicate, "2026-01-10T00:00:00Z".parse().unwrap(), &mut until).is_ok();
        (is_so, until)
    }

    #[test]
    fn a_condition_is_about_every_value_that_its_way_leads_to() {
        let predicate = json!({
            "id": "https://a/b", "count": 3, "list": [{ "kind": "low" }, { "kind": "high" }], "empty": [], "none": null,
            "a/b": { "m~n": true },
        });
        for (condition, expected) in [
            ("field = '/id'\nequals = 'https://a/b'", true),
            ("field = '/id'\nequals = 'https://a'", false),
            ("field = '/id'\nmatches = 'https://a/*'", true),
            ("field = '/count'\nmatches = '*'", false),
            ("field = '/count'\nequals = 3", true),
            ("field = '/count'\nat_most = 3", true),
            ("field = '/count'\nat_most = 2.5", false),
            ("field = '/list/*/kind'\nnot = 'critical'", true),
            ("field = '/list/*/kind'\nnot = 'high'", false),
            ("field = '/list/*/kind'\nequals = 'low'", false),
            ("field = '/list/1/kind'\nequals = 'high'", true),
            ("field = '/list/2/kind'\nexists = false", true),
            ("field = '/empty/*'\nequals = 'x'", false),
            ("field = '/empty/*'\nnot = 'x'", true),
            ("field = '/absent/*'\nnot = 'x'", false),
            ("field = '/absent'\nnot = 'x'", false),
            ("field = '/count'\nnot = 4", true),
            ("field = '/count'\nequals = 3.0", true),
            ("field = '/*'\nexists = true", true),
            ("field = '/none'\nexists = true", true),
            ("field = '/absent'\nexists = true", false),
            ("field = '/id/x'\nexists = true", false),
            ("field = '/a~1b/m~0n'\nequals = true", true),
        ] {
            assert_eq!(check(condition, &predicate).0, expected, "{condition}");
        }
    }

    #[test]
    fn what_is_new_enough_stays_so_for_a_while() {
        let condition = "field = '/*'\nnewer_than = '7d'";
        let until = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let predicate = json!(["2026-01-05T00:00:00Z", "2026-01-04T00:00:00Z"]);
        assert_eq!(check(condition, &predicate), (true, until("2026-01-11T00:00:00Z")));
        assert!(!check(condition, &json!(["2026-01-05T00:00:00Z", "2026-01-03T00:00:00Z"])).0);
        assert!(!check(condition, &json!(["2026-01-05T00:00:00Z", "soon"])).0);
        assert!(!check(condition, &json!(["2026-01-10T00:06:00Z"])).0, "nothing was found in the future");
        assert!(!check(condition, &json!([])).0);
    }
}
