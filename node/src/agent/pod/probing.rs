//! What a container's probes say (Kubernetes' "Probes"): readiness is false and liveness true until they have spoken; until the startup
//! probe has succeeded the others are not made.

use std::time::{Duration, Instant};

use longshore_fleet::{Probe, Probes};

/// One of a container's probes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProbeKind {
    /// Whether it has started.
    Startup,
    /// Whether it does its work.
    Readiness,
    /// Whether it is to be started anew.
    Liveness,
}

impl ProbeKind {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        }
    }
}

/// What one probe has found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// All is well.
    Well,
    /// It is not, for this reason.
    Ill(String),
    /// The probe itself could not be made; it does not count.
    Unknown,
}

/// What a container's probes say.
#[derive(Clone, Debug)]
pub struct Probing {
    container: String,
    startup: Option<Watch>,
    readiness: Option<Watch>,
    liveness: Option<Watch>,
    is_started: bool,
}

/// One probe, and what it said so far.
#[derive(Clone, Debug)]
struct Watch {
    probe: Probe,
    next_at: Instant,
    is_made: bool,
    successes: u32,
    failures: u32,
    /// How many failures in a row are one; 1 until the first word on a container that ran before anybody here knew of it.
    failure_threshold: u32,
    is_well: Option<bool>,
    why: String,
}

impl Watch {
    fn new(probe: &Probe, started: Instant, now: Instant) -> Self {
        let first = started + Duration::from_secs(probe.initial_delay_seconds.into());
        Self {
            next_at: first.max(now),
            is_made: false,
            successes: 0,
            failures: 0,
            failure_threshold: probe.failure_threshold,
            is_well: None,
            why: String::new(),
            probe: probe.clone(),
        }
    }

    fn note(&mut self, verdict: Verdict, now: Instant) {
        self.is_made = false;
        self.next_at = now + Duration::from_secs(self.probe.period_seconds.max(1).into());
        match verdict {
            Verdict::Well => {
                (self.successes, self.failures) = (self.successes.saturating_add(1), 0);
                if self.successes >= self.probe.success_threshold {
                    self.is_well = Some(true);
                }
            }
            Verdict::Ill(why) => {
                (self.successes, self.failures) = (0, self.failures.saturating_add(1));
                self.why = why;
                if self.failures >= self.failure_threshold {
                    self.is_well = Some(false);
                }
            }
            Verdict::Unknown => return,
        }
        self.failure_threshold = self.probe.failure_threshold;
    }
}

impl Probing {
    /// Of a container that runs for so long. One that was `found` running is taken to be as it should, until its probes say otherwise.
    pub fn new(probes: &Probes, container: &str, ran_for: Duration, found: bool, now: Instant) -> Self {
        let started = now.checked_sub(ran_for).unwrap_or(now);
        let watch = |probe: &Option<Probe>| probe.as_ref().map(|probe| Watch::new(probe, started, now));
        let (mut startup, mut readiness) = (watch(&probes.startup), watch(&probes.readiness));
        if found {
            // By then it would have been started anew if it had not succeeded.
            startup = startup.filter(|watch| {
                let Probe { initial_delay_seconds, period_seconds, failure_threshold, .. } = watch.probe;
                let seconds = u64::from(initial_delay_seconds) + u64::from(period_seconds) * u64::from(failure_threshold);
                ran_for < Duration::from_secs(seconds)
            });
            if let Some(readiness) = &mut readiness {
                (readiness.is_well, readiness.failure_threshold) = (Some(true), 1);
            }
        }
        let is_started = startup.is_none();
        Self { container: container.to_owned(), startup, readiness, liveness: watch(&probes.liveness), is_started }
    }

    /// Whose they are.
    pub fn container(&self) -> &str {
        &self.container
    }

    fn watch(&mut self, kind: ProbeKind) -> Option<&mut Watch> {
        match kind {
            ProbeKind::Startup => self.startup.as_mut(),
            ProbeKind::Readiness => self.readiness.as_mut(),
            ProbeKind::Liveness => self.liveness.as_mut(),
        }
    }

    /// Those that can be made now, at some time.
    fn open(&mut self) -> impl Iterator<Item = (ProbeKind, &mut Watch)> {
        let is_started = self.is_started;
        let all = [
            (ProbeKind::Startup, self.startup.as_mut().filter(|_| !is_started)),
            (ProbeKind::Readiness, self.readiness.as_mut().filter(|_| is_started)),
            (ProbeKind::Liveness, self.liveness.as_mut().filter(|_| is_started)),
        ];
        all.into_iter().filter_map(|(kind, watch)| Some((kind, watch.filter(|watch| !watch.is_made)?)))
    }

    /// Those that are to be made now. They count as being made from now on.
    pub fn due(&mut self, now: Instant) -> Vec<ProbeKind> {
        let due = self.open().filter(|(_, watch)| watch.next_at <= now);
        due.map(|(kind, watch)| {
            watch.is_made = true;
            kind
        })
        .collect()
    }

    /// When the next is to be made.
    pub fn next_at(&mut self) -> Option<Instant> {
        self.open().map(|(_, watch)| watch.next_at).min()
    }

    /// What one has found.
    pub fn note(&mut self, kind: ProbeKind, verdict: Verdict, now: Instant) {
        if let Some(watch) = self.watch(kind) {
            watch.note(verdict, now);
        }
        if self.startup.as_ref().is_some_and(|startup| startup.is_well == Some(true)) {
            self.is_started = true;
        }
    }

    /// Whether the container does its work.
    pub fn is_ready(&self) -> bool {
        self.is_started && self.readiness.as_ref().is_none_or(|readiness| readiness.is_well == Some(true))
    }

    /// Why it does not, where a probe has said so.
    pub fn why_not_ready(&self) -> Option<String> {
        let (kind, watch) = if self.is_started {
            (ProbeKind::Readiness, self.readiness.as_ref()?)
        } else {
            (ProbeKind::Startup, self.startup.as_ref()?)
        };
        (watch.is_well != Some(true) && !watch.why.is_empty()).then(|| format!("its {} probe fails: {}", kind.name(), watch.why))
    }

    /// Why it is to be started anew, if it is.
    pub fn why_ill(&self) -> Option<String> {
        let ill = |kind: ProbeKind, watch: &Option<Watch>| {
            let watch = watch.as_ref().filter(|watch| watch.is_well == Some(false))?;
            Some(format!("its {} probe failed {} times in a row: {}", kind.name(), watch.failures, watch.why))
        };
        ill(ProbeKind::Startup, &self.startup).or_else(|| ill(ProbeKind::Liveness, &self.liveness))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(json: &str) -> Probes {
        serde_json::from_str(json).unwrap()
    }

    fn ill() -> Verdict {
        Verdict::Ill("refused".into())
    }

    #[test]
    fn readiness_is_false_and_liveness_true_until_they_speak() {
        let now = Instant::now();
        let both = probes(r#"{"readiness":{"tcp":{"port":1},"successThreshold":2},"liveness":{"tcp":{"port":1}}}"#);
        let mut probing = Probing::new(&both, "a", Duration::ZERO, false, now);
        assert!(!probing.is_ready() && probing.why_ill().is_none() && probing.why_not_ready().is_none());
        assert_eq!(probing.due(now), [ProbeKind::Readiness, ProbeKind::Liveness]);
        assert!(probing.due(now).is_empty() && probing.next_at().is_none(), "they are being made");
        probing.note(ProbeKind::Readiness, Verdict::Well, now);
        assert!(!probing.is_ready(), "two in a row are wanted");
        assert_eq!(probing.next_at(), Some(now + Duration::from_secs(10)));
        probing.note(ProbeKind::Readiness, Verdict::Well, now);
        assert!(probing.is_ready());
        for (verdict, is_ready) in [(ill(), true), (ill(), true), (Verdict::Unknown, true), (ill(), false)] {
            probing.note(ProbeKind::Readiness, verdict, now);
            assert_eq!(probing.is_ready(), is_ready);
        }
        assert_eq!(probing.why_not_ready().unwrap(), "its readiness probe fails: refused");
        for is_ill in [false, false, true] {
            probing.note(ProbeKind::Liveness, ill(), now);
            assert_eq!(probing.why_ill().is_some(), is_ill);
        }
        assert_eq!(probing.why_ill().unwrap(), "its liveness probe failed 3 times in a row: refused");
    }

    #[test]
    fn the_startup_probe_goes_first() {
        let now = Instant::now();
        let all = probes(
            r#"{"startup":{"tcp":{"port":1},"initialDelaySeconds":5,"failureThreshold":2},"liveness":{"tcp":{"port":1}}}"#,
        );
        let mut probing = Probing::new(&all, "a", Duration::ZERO, false, now);
        assert!(probing.due(now).is_empty() && !probing.is_ready());
        let later = now + Duration::from_secs(5);
        assert_eq!(probing.next_at(), Some(later));
        assert_eq!(probing.due(later), [ProbeKind::Startup]);
        probing.note(ProbeKind::Startup, ill(), later);
        assert!(probing.why_ill().is_none());
        let mut failing = probing.clone();
        failing.note(ProbeKind::Startup, ill(), later);
        assert!(failing.why_ill().unwrap().contains("startup"));
        probing.note(ProbeKind::Startup, Verdict::Well, later);
        assert!(probing.is_ready(), "nothing else is asked");
        assert_eq!(probing.due(later), [ProbeKind::Liveness]);
    }

    #[test]
    fn what_is_found_running_is_ready_until_a_probe_says_otherwise() {
        let now = Instant::now();
        let all = probes(r#"{"startup":{"tcp":{"port":1}},"readiness":{"tcp":{"port":1}}}"#);
        let mut probing = Probing::new(&all, "a", Duration::from_mins(5), true, now);
        assert!(probing.is_ready());
        assert_eq!(probing.due(now), [ProbeKind::Readiness], "at once");
        let mut well = probing.clone();
        well.note(ProbeKind::Readiness, Verdict::Well, now);
        well.note(ProbeKind::Readiness, ill(), now);
        assert!(well.is_ready(), "one failure of three");
        probing.note(ProbeKind::Readiness, ill(), now);
        assert!(!probing.is_ready());
        assert!(!Probing::new(&all, "a", Duration::from_secs(5), true, now).is_ready(), "it may be starting still");
    }
}
