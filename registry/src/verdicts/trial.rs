//! What images would be to pulls, were other policies in force.
//!
//! Each image is judged once by the policies that are and by those that would be, one after the other in one document, so that its
//! evidence is gathered once. Nothing of that is remembered: it would push out what pulls need.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use longshore_oci::{Digest, Reference, RepositoryName, Tag};
use serde::Serialize;
use tokio::time::Instant;

use super::{Judged, Law, judge_by};
use crate::{
    error::Error,
    policy::{self, Document, Violation},
    registry::Registry,
};

/// The most images of one page.
pub const MOST_IMAGES: usize = 200;
/// After this long a page ends with what was judged by then.
const PAGE_TIME: Duration = Duration::from_secs(10);
/// How many names are asked for at once.
const NAMES: u32 = 500;

/// What an image is to who may pull, and neither signs nor administers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It can be pulled.
    Allowed,
    /// It can, with a warning.
    Warned,
    /// It can't.
    Denied,
}

/// What came of an image.
#[derive(Clone, Debug)]
pub struct Tried {
    /// `repository:tag`, or `repository@digest`.
    pub reference: String,
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub now: Standing,
    /// What it would be.
    pub then: Standing,
    /// What would be wrong with it.
    pub reasons: Vec<Violation>,
}

/// Some images, judged.
#[derive(Clone, Debug, Default)]
pub struct TrialPage {
    /// How many.
    pub judged: usize,
    /// Those to be told of.
    pub images: Vec<Tried>,
    /// What comes next: an image that was judged last, where not all of them were.
    pub next: Option<(RepositoryName, String)>,
    /// What came of those that were judged: several tags may be at one of them.
    known: HashMap<(RepositoryName, Digest), Tried>,
}

/// Which images.
#[derive(Clone, Debug)]
pub enum Subjects {
    /// These.
    Given(Vec<(RepositoryName, Reference)>),
    /// All that are tagged and of which something is asked, now or then; after a repository and a tag.
    Tagged(Option<(RepositoryName, String)>),
}

/// Two sets of policies, and how they are judged by.
pub struct Trial<'a> {
    registry: &'a Registry,
    now: Arc<Document>,
    /// Those now, and then those then.
    both: Arc<Document>,
    authority: &'a str,
    /// Whether only those are told of to which something else happens.
    only_changes: bool,
}

impl<'a> Trial<'a> {
    /// A trial of what would be in force.
    pub fn new(registry: &'a Registry, then: &Document, authority: &'a str, only_changes: bool) -> Self {
        let now = registry.policies.current();
        let both = Document::of(now.policies.iter().chain(&then.policies).cloned().collect());
        Self { registry, now, both: Arc::new(both), authority, only_changes }
    }

    /// Judges images; one trial at a time, so that pulls keep their turns.
    pub async fn run(&self, subjects: Subjects) -> Result<TrialPage, Error> {
        let _turn = self.registry.verdicts.trying.acquire().await.map_err(|_| Error::Overloaded)?;
        match subjects {
            Subjects::Given(images) => self.run_given(images).await,
            Subjects::Tagged(after) => self.run_tagged(after).await,
        }
    }

    async fn run_given(&self, images: Vec<(RepositoryName, Reference)>) -> Result<TrialPage, Error> {
        let mut page = TrialPage::default();
        for (name, reference) in images {
            let separator = if matches!(reference, Reference::Tag(_)) { ':' } else { '@' };
            let shown = format!("{name}{separator}{reference}");
            let found = self.registry.state.manifest(&name, &reference).await?;
            let digest = found.ok_or_else(|| Error::ManifestUnknown(shown.clone()))?.digest;
            self.add(&mut page, &name, shown, digest).await?;
        }
        Ok(page)
    }

    async fn run_tagged(&self, after: Option<(RepositoryName, String)>) -> Result<TrialPage, Error> {
        let ends_at = Instant::now() + PAGE_TIME;
        let (mut page, mut names) = (TrialPage::default(), VecDeque::new());
        let (mut last, mut tag) = after.map_or((String::new(), String::new()), |(name, tag)| {
            names.push_back(name.clone());
            (name.to_string(), tag)
        });
        loop {
            let Some(name) = names.pop_front() else {
                let found = self.registry.state.repositories(&last, NAMES).await?;
                names.extend(found.iter().filter_map(|name| name.parse::<RepositoryName>().ok()));
                match found.into_iter().next_back() {
                    Some(name) => last = name,
                    None => return Ok(page),
                }
                continue;
            };
            if self.both.asks_of_pulls(&name) {
                page.next = self.run_repository(&mut page, &name, std::mem::take(&mut tag), ends_at).await?;
            } else if Instant::now() >= ends_at {
                page.next = Some((name, String::new()));
            }
            if page.next.is_some() {
                return Ok(page);
            }
            tag.clear();
        }
    }

    /// Judges a repository's tags after this one; where it stopped, if it did before the end.
    async fn run_repository(
        &self,
        page: &mut TrialPage,
        name: &RepositoryName,
        mut after: String,
        ends_at: Instant,
    ) -> Result<Option<(RepositoryName, String)>, Error> {
        loop {
            let tagged = self.registry.state.tagged(name, &after, NAMES).await?;
            let Some((last, _)) = tagged.last() else { return Ok(None) };
            let last = last.to_string();
            // What lies at a tag made of a digest is about an image, and no image itself.
            for (tag, digest) in tagged.into_iter().filter(|(tag, _)| !Tag::is_of_a_digest(tag)) {
                if page.judged >= MOST_IMAGES || (page.judged > 0 && Instant::now() >= ends_at) {
                    return Ok(Some((name.clone(), after)));
                }
                self.add(page, name, format!("{name}:{tag}"), digest).await?;
                after = tag.to_string();
            }
            after = last;
        }
    }

    async fn add(&self, page: &mut TrialPage, name: &RepositoryName, reference: String, digest: Digest) -> Result<(), Error> {
        let key = (name.clone(), digest.clone());
        let tried = match page.known.get(&key) {
            Some(known) => Tried { reference, ..known.clone() },
            None => self.judge(name, reference, digest).await?,
        };
        page.known.insert(key, tried.clone());
        page.judged += 1;
        if !self.only_changes || tried.now != tried.then {
            page.images.push(tried);
        }
        Ok(())
    }

    async fn judge(&self, name: &RepositoryName, reference: String, digest: Digest) -> Result<Tried, Error> {
        let law = Law { document: &self.both, is_in_force: false };
        let mut now = judge_by(self.registry, law, name, &digest).await?;
        let then = Judged { judgements: now.judgements.split_off(self.now.count_asking(name)), ..now.clone() };
        let (now, _) = self.standing(&now);
        let (then, reasons) = self.standing(&then);
        Ok(Tried { reference, digest, now, then, reasons })
    }

    fn standing(&self, judged: &Judged) -> (Standing, Vec<Violation>) {
        if judged.is_evidence {
            return (Standing::Allowed, Vec::new());
        }
        let verdict = policy::verdict(&judged.judgements, self.authority);
        match (verdict.refusals.is_empty(), verdict.warnings.is_empty()) {
            (false, _) => (Standing::Denied, [verdict.refusals, verdict.warnings].concat()),
            (true, false) => (Standing::Warned, verdict.warnings),
            (true, true) => (Standing::Allowed, Vec::new()),
        }
    }
}
