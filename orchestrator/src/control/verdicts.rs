//! Whether images may run, by the registry's word: asked before pods of a revision are placed, and again when the word has run out.

use longshore_fleet::{WorkloadId, api::Change};

use super::{Controller, Timer};
use crate::{schedule::Millis, state::Write};

/// What the registry says of an image.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It may run; asked again after this moment.
    Allowed(Millis),
    /// It may not, and why.
    Refused(String),
    /// The registry can't be asked. What it said last counts on: an image that it has refused stays refused, whoever leads.
    Unknown,
}

/// What is known of an image.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Known {
    /// Nothing yet.
    #[default]
    Nothing,
    /// It is being asked.
    Asked,
    /// It may run, until this moment.
    Allowed(Millis),
    /// It may not.
    Refused,
}

impl Controller {
    /// Whether pods of a revision may be placed now; where that is not known, it is asked.
    pub(crate) fn may_run(&mut self, id: WorkloadId, number: u64) -> bool {
        let now = self.now;
        let Some(revision) = self.workloads.get_mut(&id).and_then(|workload| workload.revisions.get_mut(&number)) else {
            return false;
        };
        match revision.known {
            Known::Allowed(until) if until > now => return true,
            Known::Asked | Known::Refused => return false,
            Known::Nothing | Known::Allowed(_) => {}
        }
        revision.known = Known::Asked;
        self.unwritten.verdicts.push((id, number, revision.row.template.image.clone()));
        false
    }

    /// Takes in what the registry says of the image of a revision.
    pub fn judge(&mut self, id: WorkloadId, number: u64, verdict: Verdict, now: Millis) {
        self.now = self.now.max(now);
        let retry = self.now + self.settings.verdict_retry_ms;
        let Some(revision) = self.workloads.get_mut(&id).and_then(|workload| workload.revisions.get_mut(&number)) else { return };
        match verdict {
            Verdict::Refused(reason) => {
                revision.known = Known::Refused;
                self.timers.set(Timer::Verdict(id), retry);
                if revision.row.refused.as_ref() != Some(&reason) {
                    self.note_refusal(id, number, Some(reason.clone()));
                    self.tell_of_workload(id, Change::Noted, "ImageNotAllowed", reason);
                }
            }
            Verdict::Unknown if revision.row.refused.is_some() => {
                revision.known = Known::Refused;
                self.timers.set(Timer::Verdict(id), retry);
            }
            Verdict::Unknown => self.allow(id, number, retry),
            Verdict::Allowed(until) => {
                if revision.row.refused.is_some() {
                    self.note_refusal(id, number, None);
                }
                // Asked again at once it would be asked for ever.
                self.allow(id, number, until.max(self.now + 1_000));
            }
        }
        self.touch(id);
    }

    /// That an image was refused is written down, so that a later leader knows it where the registry can't be asked.
    fn note_refusal(&mut self, id: WorkloadId, number: u64, refused: Option<String>) {
        let revision = self.workloads.get_mut(&id).and_then(|workload| workload.revisions.get_mut(&number));
        if let Some(revision) = revision {
            revision.row.refused.clone_from(&refused);
            self.unwritten.writes.push(Write::PutRefusal(id, number, refused));
        }
    }

    fn allow(&mut self, id: WorkloadId, number: u64, until: Millis) {
        let Some(revision) = self.workloads.get_mut(&id).and_then(|workload| workload.revisions.get_mut(&number)) else { return };
        revision.known = Known::Allowed(until);
        let waiting = std::mem::take(&mut revision.waiting);
        self.enqueue_all(&waiting.into_iter().collect::<Vec<_>>());
    }

    /// What was refused is asked again.
    pub(crate) fn ask_again(&mut self, id: WorkloadId) {
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        let mut numbers = Vec::new();
        for (number, revision) in &mut workload.revisions {
            if revision.known == Known::Refused {
                revision.known = Known::Nothing;
                if !revision.waiting.is_empty() {
                    numbers.push(*number);
                }
            }
        }
        for number in numbers {
            self.may_run(id, number);
        }
    }
}
