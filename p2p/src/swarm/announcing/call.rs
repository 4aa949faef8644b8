//! One announcement on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::TrackerIndex;
use crate::{
    control::{
        Announce, Announced, AnnouncedTopic, Answer, Control, ControlAddress, ControlError, Standing, TopicAnswer, TrackerService,
    },
    swarm::{Rights, callback::answer_of, clock::Clock, input::Input},
};

/// How trackers are asked: others over the control protocol, and this node itself where it is one.
#[derive(Clone)]
pub(in crate::swarm) struct Trackers {
    pub(in crate::swarm) control: Control,
    /// This node's own, if it is one.
    pub(in crate::swarm) itself: Option<Arc<dyn TrackerService>>,
    /// As what the settings name it among the trackers of all, where they do.
    pub(in crate::swarm) named: Vec<ControlAddress>,
}

/// What a tracker has answered to the first of several parts at least.
#[derive(Debug)]
pub(in crate::swarm) struct Answers {
    /// One for each topic that was announced, in their order, up to the part that was not answered.
    pub(super) topics: Vec<TopicAnswer>,
    /// How long it knows of it, where that can end by itself.
    pub(super) standing: Option<Standing>,
    /// Why the rest was not answered.
    pub(super) failure: Option<ControlError>,
}

/// One announcement.
pub(super) struct Call {
    pub(super) tracker: TrackerIndex,
    pub(super) address: Option<ControlAddress>,
    pub(super) announce: Announce,
    pub(super) clock: Clock,
    /// How long a callback may take.
    pub(super) patience: Duration,
}

impl Call {
    pub(super) async fn go(self, trackers: Trackers, rights: Arc<dyn Rights>, inputs: mpsc::Sender<Input>) {
        let Self { tracker, address, mut announce, clock, patience } = self;
        show_tokens(&mut announce.topics, &*rights, patience).await;
        // One topic that no tracker takes keeps no other back.
        let (fitting, unfit): (Vec<_>, _) = announce.topics.into_iter().partition(AnnouncedTopic::fits);
        announce.topics = fitting;
        let topics = unfit.iter().chain(&announce.topics).map(|announced| announced.topic.key()).collect();
        let asked_at = clock.now();
        let outcome = if announce.topics.is_empty() && announce.withdraw.is_empty() {
            Ok(Answers { topics: Vec::new(), standing: None, failure: None })
        } else {
            match &address {
                Some(address) => ask(&trackers.control, address, announce).await,
                None => ask_itself(trackers.itself, announce, patience).await,
            }
        };
        let outcome = outcome.map(|mut answers| {
            answers.topics.splice(0..0, unfit.iter().map(|_| TopicAnswer::Refused));
            answers
        });
        let _ = inputs.send(Input::Told { tracker, asked_at, topics, outcome }).await;
    }
}

/// Adds what this node shows for each topic. The nodes of one repository show the same for all of its blobs.
async fn show_tokens(topics: &mut [AnnouncedTopic], rights: &dyn Rights, patience: Duration) {
    let place = |announced: &AnnouncedTopic| (announced.topic.registry.clone(), announced.topic.repository.clone());
    let mut known = BTreeSet::new();
    let firsts = topics.iter().filter(|announced| known.insert(place(announced)));
    let shown = join_all(firsts.map(async |announced| {
        let token = answer_of("token", patience, rights.token(&announced.topic)).await;
        (place(announced), token.flatten().map(|token| token.0))
    }));
    let shown: BTreeMap<_, _> = shown.await.into_iter().collect();
    for announced in topics {
        announced.token = shown.get(&place(announced)).cloned().flatten();
    }
}

/// Announces to a tracker, in as many parts as it takes.
async fn ask(control: &Control, address: &ControlAddress, announce: Announce) -> Result<Answers, ControlError> {
    let mut answers: Option<Answers> = None;
    for part in announce.split() {
        match (control.announce(address, part).await, &mut answers) {
            (Ok(Announced { topics, standing }), None) => {
                answers = Some(Answers { topics, standing: Some(standing), failure: None });
            }
            (Ok(Announced { mut topics, standing }), Some(answers)) => {
                answers.topics.append(&mut topics);
                answers.standing = Some(standing);
            }
            (Err(failure), Some(answers)) => {
                answers.failure = Some(failure);
                break;
            }
            (Err(failure), None) => return Err(failure),
        }
    }
    answers.ok_or(ControlError::Closed)
}

/// The same where this node is the tracker.
async fn ask_itself(
    itself: Option<Arc<dyn TrackerService>>,
    announce: Announce,
    patience: Duration,
) -> Result<Answers, ControlError> {
    let itself = itself.ok_or(ControlError::Closed)?;
    let (peer, here) = (announce.record.peer, IpAddr::V4(Ipv4Addr::LOCALHOST));
    match answer_of("announce", patience, itself.announce(peer, here, announce)).await {
        Some(Answer::Topics(topics)) => Ok(Answers { topics, standing: None, failure: None }),
        Some(Answer::Refused | Answer::Busy { .. }) | None => Err(ControlError::Closed),
    }
}
