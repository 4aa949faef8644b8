//! Which pods are placed next, and which wait for something to happen.
//!
//! Whoever came first goes first, with a start for some: each step of priority counts as so much waiting, and batch work as if it had come
//! so much later. As everybody ages alike, the order of two never changes, and what has waited long enough is ahead of whatever comes.
//!
//! Pods that are alike stand in one line. Where one of them fits nowhere, none of the line is looked at again until something happens that
//! could help it ([`Hopes`]), and then not at once if that was in vain before: the pause doubles each time. Meanwhile smaller ones may
//! take the room that it waits for; what must not wait for that has a priority, by which others make room.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::{BitOr, BitOrAssign},
};

use longshore_fleet::{Class, PodId};

use super::{DemandIndex, NodeFacts, Refusal, Verdict};

/// A moment, in milliseconds since one that its giver chose.
pub type Millis = i64;

/// How the queue weighs waiting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueSettings {
    /// How long a step of priority counts as waited, in milliseconds.
    pub priority_step_ms: i64,
    /// How much later batch work counts as come, in milliseconds.
    pub batch_delay_ms: i64,
    /// How long a line waits after its first attempt in vain, in milliseconds, when something happens that could help it.
    pub first_pause_ms: i64,
    /// How long it waits then at most, in milliseconds.
    pub longest_pause_ms: i64,
    /// How long it waits where nothing happens that could help it, in milliseconds: what could help may be more than is known here.
    pub look_again_ms: i64,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            priority_step_ms: 60_000,
            batch_delay_ms: 600_000,
            first_pause_ms: 100,
            longest_pause_ms: 30_000,
            look_again_ms: 300_000,
        }
    }
}

/// What could help a pod that fits nowhere.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hopes(u8);

impl Hopes {
    /// Room on a node: a pod is gone, a node has grown.
    pub const ROOM: Self = Self(1);
    /// A node that is new or gone, ready or not, cordoned or no more, or has other labels or taints.
    pub const NODES: Self = Self(2);
    /// A pod that has come to a node.
    pub const COMPANY: Self = Self(4);
    /// An image that has come to a node.
    pub const PULLS: Self = Self(8);
    /// Room for images on a node's disk.
    pub const DISK: Self = Self(16);

    /// What could help where a node refuses so.
    pub fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::NotReady
            | Refusal::Cordoned
            | Refusal::Platform(_)
            | Refusal::Labels
            | Refusal::Tainted(_)
            | Refusal::NoLabel(_) => Self::NODES,
            Refusal::Cpu(_) | Refusal::Memory(_) | Refusal::Pods | Refusal::Port(..) | Refusal::Near(..) => Self::ROOM,
            Refusal::Disk(_) => Self::PULLS | Self::ROOM | Self::DISK,
            Refusal::Pulls => Self::PULLS | Self::ROOM,
            Refusal::NotNear(..) | Refusal::Skew(..) => Self::COMPANY | Self::ROOM,
        }
    }

    /// What could help where these are all nodes' verdicts: a new node always could, and where one fits but not a gang, all could.
    pub fn among<'a>(verdicts: impl IntoIterator<Item = &'a Verdict>) -> Self {
        let mut hopes = Self::NODES;
        for verdict in verdicts {
            match verdict {
                Verdict::Fits(_) => hopes |= Self::ROOM | Self::COMPANY | Self::PULLS,
                Verdict::Refused(refusals) => refusals.iter().for_each(|refusal| hopes |= Self::of(refusal)),
            }
        }
        hopes
    }

    /// What could be helped by a node that is so now, and was so before; `None` where nothing could. How busy it is helps nobody in.
    pub fn of_change(before: Option<&NodeFacts>, now: &NodeFacts) -> Option<Self> {
        let Some(before) = before else { return Some(Self::NODES | Self::ROOM) };
        let is_other = (before.is_ready, before.is_cordoned) != (now.is_ready, now.is_cordoned)
            || (&before.labels, &before.taints, &before.platform) != (&now.labels, &now.taints, &now.platform);
        let has_grown = now.cpu > before.cpu || now.memory > before.memory || now.pods > before.pods;
        let hopes = [(is_other, Self::NODES), (has_grown, Self::ROOM), (now.disk > before.disk, Self::DISK)];
        hopes.into_iter().filter(|(is_so, _)| *is_so).map(|(_, hopes)| hopes).reduce(|one, other| one | other)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Hopes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Hopes {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// What is placed together or not at all: one pod, or a gang.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unit {
    /// Its pods.
    pub pods: Vec<PodId>,
    /// What each of them wants.
    pub demand: DemandIndex,
    /// Whether people wait for it.
    pub class: Class,
    /// The more, the sooner.
    pub priority: i32,
    /// When it came.
    pub since: Millis,
}

/// Units that are alike: as many pods that want the same. They stand in one line.
type Kind = (DemandIndex, usize);

/// Where a unit stands: the moment that it counts as come at, and its first pod.
type Standing = (i64, PodId);

impl Unit {
    fn kind(&self) -> Kind {
        (self.demand, self.pods.len())
    }
}

/// Pods that wait for a node.
#[derive(Debug)]
pub struct Queue {
    settings: QueueSettings,
    lines: HashMap<Kind, Line>,
    /// The lines that may be looked at, by whoever is first in each.
    open: BTreeSet<(Standing, Kind)>,
    /// When the others are looked at again.
    resting: BTreeSet<(Millis, Kind)>,
    of_pod: HashMap<PodId, (Kind, Standing)>,
    /// Of lines, attempts in vain, one after the other; and when the last of them was.
    tried: HashMap<Kind, (u32, Millis)>,
}

/// Units that are alike.
#[derive(Debug, Default)]
struct Line {
    units: BTreeMap<Standing, Unit>,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// It may be looked at.
    #[default]
    Open,
    /// It waits for something to happen, until then at most.
    Shut { hopes: Hopes, until: Millis },
    /// Something has happened; it is looked at again at this moment.
    Resting(Millis),
}

impl Queue {
    /// An empty one.
    pub fn new(settings: QueueSettings) -> Self {
        Self {
            settings,
            lines: HashMap::new(),
            open: BTreeSet::new(),
            resting: BTreeSet::new(),
            of_pod: HashMap::new(),
            tried: HashMap::new(),
        }
    }

    /// How many units wait.
    pub fn len(&self) -> usize {
        self.lines.values().map(|line| line.units.len()).sum()
    }

    /// How many units are next, rest until they are looked at again, and wait for something to happen.
    pub fn lengths(&self) -> [u64; 3] {
        let mut lengths = [0; 3];
        for line in self.lines.values() {
            let at = match line.state {
                State::Open => 0,
                State::Resting(_) => 1,
                State::Shut { .. } => 2,
            };
            lengths[at] += line.units.len() as u64;
        }
        lengths
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether a pod waits.
    pub fn waits(&self, pod: PodId) -> bool {
        self.of_pod.contains_key(&pod)
    }

    /// Adds a unit. One without pods, or with one that waits already, is passed over, and it is false.
    pub fn push(&mut self, unit: Unit) -> bool {
        let Some(&first) = unit.pods.first() else { return false };
        if unit.pods.iter().any(|pod| self.of_pod.contains_key(pod)) {
            return false;
        }
        let standing = (self.counts_from(&unit), first);
        let kind = unit.kind();
        for pod in &unit.pods {
            self.of_pod.insert(*pod, (kind, standing));
        }
        self.close(kind);
        self.lines.entry(kind).or_default().units.insert(standing, unit);
        self.reopen(kind);
        true
    }

    /// Takes out the unit of a pod, which is wanted no more.
    pub fn remove(&mut self, pod: PodId) -> Option<Unit> {
        let unit = self.take(pod)?;
        if !self.lines.contains_key(&unit.kind()) {
            self.tried.remove(&unit.kind());
        }
        Some(unit)
    }

    fn take(&mut self, pod: PodId) -> Option<Unit> {
        let (kind, standing) = *self.of_pod.get(&pod)?;
        self.close(kind);
        let unit = self.lines.get_mut(&kind).and_then(|line| line.units.remove(&standing));
        self.reopen(kind);
        let unit = unit?;
        for pod in &unit.pods {
            self.of_pod.remove(pod);
        }
        Some(unit)
    }

    /// Takes out the units that are next: the first of all, and those like it that are before any other; at most so many.
    pub fn pop(&mut self, now: Millis, most: usize) -> Vec<Unit> {
        self.wake_rested(now);
        let Some(&(_, kind)) = self.open.first() else { return Vec::new() };
        let until = self.open.iter().nth(1).map(|(standing, _)| *standing);
        let Some(line) = self.lines.get(&kind) else { return Vec::new() };
        let next = line.units.keys().take_while(|standing| until.is_none_or(|until| **standing < until)).take(most);
        let next: Vec<PodId> = next.map(|(_, first)| *first).collect();
        next.into_iter().filter_map(|pod| self.take(pod)).collect()
    }

    /// Puts back a unit that fits nowhere, and shuts its line until something happens that it hopes for, or a long time has passed.
    pub fn shut(&mut self, unit: Unit, hopes: Hopes, now: Millis) {
        let kind = unit.kind();
        if !self.push(unit) {
            return;
        }
        self.close(kind);
        if let Some(line) = self.lines.get_mut(&kind) {
            line.state = State::Shut { hopes, until: now.saturating_add(self.settings.look_again_ms) };
        }
        self.reopen(kind);
        let (attempts, at) = self.tried.entry(kind).or_default();
        // Several that were tried at one moment are one attempt.
        if *attempts == 0 || *at != now {
            (*attempts, *at) = (attempts.saturating_add(1), now);
        }
    }

    /// Notes that a unit was placed, or is wanted no more: what was in vain before counts no more for those like it.
    pub fn placed(&mut self, unit: &Unit) {
        self.tried.remove(&unit.kind());
    }

    /// Something has happened: lines that hoped for it are looked at again, when they have rested.
    pub fn happened(&mut self, what: Hopes) {
        let hoping = self.lines.iter().filter(|(_, line)| matches!(line.state, State::Shut { hopes, .. } if hopes.meets(what)));
        let hoping: Vec<Kind> = hoping.map(|(kind, _)| *kind).collect();
        for kind in hoping {
            let (attempts, at) = self.tried.get(&kind).copied().unwrap_or_default();
            self.close(kind);
            if let Some(line) = self.lines.get_mut(&kind) {
                line.state = State::Resting(at.saturating_add(self.settings.pause(attempts)));
            }
            self.reopen(kind);
        }
    }

    /// Demands have other positions than before; those that are not told have the same.
    pub fn renamed(&mut self, demands: &HashMap<DemandIndex, DemandIndex, impl std::hash::BuildHasher>) {
        let there = |demand: DemandIndex| demands.get(&demand).copied().unwrap_or(demand);
        let rename = |(demand, pods): Kind| (there(demand), pods);
        self.lines = std::mem::take(&mut self.lines).into_iter().map(|(kind, line)| (rename(kind), line)).collect();
        for line in self.lines.values_mut() {
            line.units.values_mut().for_each(|unit| unit.demand = there(unit.demand));
        }
        self.open = self.open.iter().map(|(standing, kind)| (*standing, rename(*kind))).collect();
        self.resting = self.resting.iter().map(|(at, kind)| (*at, rename(*kind))).collect();
        self.of_pod.values_mut().for_each(|(kind, _)| *kind = rename(*kind));
        self.tried = std::mem::take(&mut self.tried).into_iter().map(|(kind, tried)| (rename(kind), tried)).collect();
    }

    /// When a line is to be looked at again that is not open; `None` where all are.
    pub fn next_at(&self) -> Option<Millis> {
        self.resting.first().map(|(at, _)| *at)
    }

    /// What a unit of this pod hopes for; `None` where its line is not shut.
    pub fn hopes(&self, pod: PodId) -> Option<Hopes> {
        let (kind, _) = self.of_pod.get(&pod)?;
        match self.lines.get(kind)?.state {
            State::Shut { hopes, .. } => Some(hopes),
            State::Open | State::Resting(_) => None,
        }
    }

    fn wake_rested(&mut self, now: Millis) {
        while let Some(&(at, kind)) = self.resting.first()
            && at <= now
        {
            self.close(kind);
            if let Some(line) = self.lines.get_mut(&kind) {
                line.state = State::Open;
            }
            self.reopen(kind);
        }
    }

    /// The moment that a unit counts as come at.
    fn counts_from(&self, unit: &Unit) -> i64 {
        let ahead = i64::from(unit.priority).saturating_mul(self.settings.priority_step_ms);
        let behind = if unit.class == Class::Batch { self.settings.batch_delay_ms } else { 0 };
        unit.since.saturating_add(behind).saturating_sub(ahead)
    }

    /// Takes a line out of what is looked at.
    fn close(&mut self, kind: Kind) {
        let Some(line) = self.lines.get(&kind) else { return };
        if let Some((first, _)) = line.units.first_key_value() {
            self.open.remove(&(*first, kind));
        }
        if let State::Resting(at) | State::Shut { until: at, .. } = line.state {
            self.resting.remove(&(at, kind));
        }
    }

    /// Puts a line where its state says; forgets it when it is empty.
    fn reopen(&mut self, kind: Kind) {
        let Some(line) = self.lines.get(&kind) else { return };
        let Some((first, _)) = line.units.first_key_value() else {
            self.lines.remove(&kind);
            return;
        };
        match line.state {
            State::Open => {
                self.open.insert((*first, kind));
            }
            State::Resting(at) | State::Shut { until: at, .. } => {
                self.resting.insert((at, kind));
            }
        }
    }
}

impl QueueSettings {
    /// How long a line rests after so many attempts in vain.
    fn pause(&self, attempts: u32) -> i64 {
        let doublings = attempts.saturating_sub(1).min(30);
        self.first_pause_ms.saturating_mul(1 << doublings).min(self.longest_pause_ms)
    }
}
