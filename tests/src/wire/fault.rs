use std::time::Duration;

use super::Call;
use crate::Random;

/// What goes wrong on a wire.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection is reset before anything is passed on.
    Reset,
    /// The request is passed on and carried out; the connection is reset instead of answering.
    LoseAnswer,
    /// Nothing passes for so long; then all goes on.
    Stall(Duration),
    /// The answer's body passes at no more than this many bytes a second.
    Throttle(u64),
    /// The connection is reset after this many bytes of the answer's body.
    Truncate(u64),
    /// The answer's body passes with one bit wrong, in the byte at this place.
    Flip(u64),
    /// The wire answers in the server's place, with this status and S3 error code; the server sees nothing.
    Answer(u16, &'static str),
}

/// When something goes wrong, and what.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) fault: Fault,
    method: Option<&'static str>,
    part: &'static str,
    probability: f64,
    times: usize,
}

impl Rule {
    /// Always, to everything.
    pub fn always(fault: Fault) -> Self {
        Self { fault, method: None, part: "", probability: 1.0, times: usize::MAX }
    }

    /// Only to requests with this method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Only to requests with this in their path and query.
    #[must_use]
    pub fn containing(mut self, part: &'static str) -> Self {
        self.part = part;
        self
    }

    /// Only with this probability, from 0 to 1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Only so many times.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    pub(super) fn applies(&mut self, call: Option<&Call>, random: &mut Random) -> bool {
        let concerns = call.is_none_or(|call| {
            self.method.is_none_or(|method| method == call.method) && format!("{}?{}", call.path, call.query).contains(self.part)
        });
        let applies = concerns && self.times > 0 && random.chance(self.probability);
        if applies {
            self.times -= 1;
        }
        applies
    }
}
