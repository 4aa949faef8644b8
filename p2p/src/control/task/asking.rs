//! What is asked of trackers and other peers.

use std::{sync::Arc, time::Duration};

use libp2p::{
    PeerId,
    request_response::{OutboundFailure, OutboundRequestId},
    swarm::ConnectionId,
};

use super::{Reply, Task};
use crate::{
    control::{
        Announce, Announced, Answer, ControlAddress, ControlError, Standing,
        behaviour::AskRecord,
        codec::{Request, Response},
        ids,
        links::{CallId, Refusal, Road},
        messages::WireAnswer,
    },
    moment::Moment,
    record::PeerRecord,
};

/// The shortest pause that a busy tracker can ask for.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How much later than it was made a call may be sent, and its end still be the end of all patience with a silent peer.
const SENT_AT_ONCE: Duration = Duration::from_millis(20);

/// A request's number, which is of its protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Asked {
    Tracker(OutboundRequestId),
    Record(OutboundRequestId),
}

/// A call that has no answer yet.
#[derive(Debug)]
pub(super) struct Call {
    address: ControlAddress,
    deadline: Moment,
    question: Question,
    /// Whether it was sent before, on a connection that was closed.
    is_second: bool,
}

#[derive(Debug)]
enum Question {
    Announce { announce: Arc<Announce>, reply: Reply<Announced> },
    Record(Reply<PeerRecord>),
}

impl Question {
    fn name(&self) -> &'static str {
        match self {
            Self::Announce { .. } => "announce",
            Self::Record(_) => "record",
        }
    }

    fn fail(self, error: ControlError) {
        // Whoever asked may have left.
        match self {
            Self::Announce { reply, .. } => drop(reply.send(Err(error))),
            Self::Record(reply) => drop(reply.send(Err(error))),
        }
    }
}

impl Task {
    pub(super) fn announce(&mut self, to: ControlAddress, announce: Arc<Announce>, reply: Reply<Announced>) {
        self.call(to, Question::Announce { announce, reply });
    }

    pub(super) fn ask_record(&mut self, at: ControlAddress, reply: Reply<PeerRecord>) {
        self.call(at, Question::Record(reply));
    }

    fn call(&mut self, address: ControlAddress, question: Question) {
        let now = self.now();
        let most = self.settings.most_calls;
        self.last_call += 1;
        let id = CallId(self.last_call);
        let taken = if self.calls.len() < most { self.links.take(&address, id, now) } else { Err(Refusal::Full) };
        match taken {
            Ok(surplus) => {
                if let Some(connection) = surplus {
                    self.close(connection);
                }
                let deadline = now + self.settings.request_timeout;
                self.deadlines.insert((deadline, id));
                self.calls.insert(id, Call { address: address.clone(), deadline, question, is_second: false });
                self.go_on(&address);
            }
            Err(Refusal::BackingOff(retry_after)) => self.refuse(question, ControlError::BackingOff { address, retry_after }),
            Err(Refusal::Full) => self.refuse(question, ControlError::TooManyCalls { most }),
        }
    }

    fn refuse(&self, question: Question, error: ControlError) {
        self.metrics.asked.with_label_values(&[question.name(), error.outcome()]).inc();
        question.fail(error);
    }

    /// Does the next thing for the calls that wait at an address.
    pub(super) fn go_on(&mut self, address: &ControlAddress) {
        let most_streams = self.settings.most_streams;
        while let Some(link) = self.links.get(address).filter(|link| !link.waiting.is_empty()) {
            match link.road {
                Road::Resolving | Road::Dialing { .. } | Road::Closing { .. } => return,
                Road::Up { peer, .. } if self.swarm.is_connected(&peer) => {
                    if link.in_flight >= most_streams {
                        return;
                    }
                    let next = link.waiting.pop_front().expect("some call waits");
                    self.send(address, next, peer);
                }
                Road::Down | Road::Up { .. } => {
                    let wanted = address.clone();
                    self.resolving.spawn(async move {
                        let sockets = wanted.resolve().await;
                        (wanted, sockets)
                    });
                    self.links.set_road(address, Road::Resolving);
                }
            }
        }
    }

    /// Sends a call to a peer, on any of its connections.
    fn send(&mut self, address: &ControlAddress, id: CallId, peer: PeerId) {
        let now = self.now();
        let Some(call) = self.calls.get(&id) else { return };
        let behaviour = self.swarm.behaviour_mut();
        let asked = match &call.question {
            Question::Announce { announce, .. } => {
                Asked::Tracker(behaviour.tracker.send_request(&peer, Request::Message(Arc::clone(announce), None)))
            }
            Question::Record(_) => Asked::Record(behaviour.record.send_request(&peer, Request::Message(AskRecord {}, None))),
        };
        tracing::trace!(%address, %peer, question = call.question.name(), "asked");
        self.asked.insert(asked, (id, address.clone()));
        if let Some(link) = self.links.get(address) {
            link.asked(now);
        }
    }

    pub(super) fn on_tracker_answer(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        request: OutboundRequestId,
        answer: Response<WireAnswer>,
    ) {
        let Some(call) = self.settled(Asked::Tracker(request), true) else { return };
        let Question::Announce { announce, reply } = call.question else { return };
        let address = call.address;
        let (own, by) = (ids::ours(*self.swarm.local_peer_id()), self.other_end(connection));
        let result = match answer.message.into_answer(own, by, &announce.topics, self.settings.idle_timeout / 2) {
            Ok(Answer::Topics(topics)) => Ok(Announced { topics, standing: self.stands(peer, connection) }),
            Ok(Answer::Refused) => Err(ControlError::Refused { address: address.clone() }),
            Ok(Answer::Busy { retry_after_ms }) => {
                let retry_after = Duration::from_millis(u64::from(retry_after_ms));
                let retry_after = retry_after.max(LEAST_PAUSE).min(self.settings.backoff_max);
                Err(ControlError::Busy { address: address.clone(), retry_after })
            }
            Err(what) => Err(ControlError::Nonsense { address: address.clone(), what }),
        };
        self.judge_link(&address, result.as_ref().err());
        self.metrics.asked.with_label_values(&["announce", outcome(result.as_ref().err())]).inc();
        // Whoever asked may have left.
        let _ = reply.send(result);
        self.go_on(&address);
    }

    fn stands(&mut self, peer: PeerId, connection: ConnectionId) -> Standing {
        // The end of a connection may be told before the last that came on it.
        if self.guests.is_open(connection) { self.hosts.took(peer, connection) } else { Standing::over() }
    }

    pub(super) fn on_record_answer(
        &mut self,
        peer: libp2p_identity::PeerId,
        connection: ConnectionId,
        request: OutboundRequestId,
        answer: Response<PeerRecord>,
    ) {
        let record = answer.message;
        let Some(call) = self.settled(Asked::Record(request), true) else { return };
        let Question::Record(reply) = call.question else { return };
        let address = call.address;
        let result = if record.peer != peer || !record.locality.has_short_names() {
            Err(ControlError::Nonsense { address: address.clone(), what: "the record is not the peer's" })
        } else {
            Ok(record.as_reached(self.other_end(connection)))
        };
        self.judge_link(&address, result.as_ref().err());
        self.metrics.asked.with_label_values(&["record", outcome(result.as_ref().err())]).inc();
        // Whoever asked may have left.
        let _ = reply.send(result);
        self.go_on(&address);
        self.close_unless_needed(&address);
    }

    pub(super) fn on_failed(&mut self, asked: Asked, failure: OutboundFailure) {
        if matches!(failure, OutboundFailure::ConnectionClosed) && self.again(asked) {
            return;
        }
        let Some(call) = self.settled(asked, false) else { return };
        let address = call.address;
        let error = match failure {
            OutboundFailure::UnsupportedProtocols => ControlError::Unsupported { address: address.clone() },
            OutboundFailure::Timeout => ControlError::TimedOut { address: address.clone(), within: self.settings.stream_timeout },
            other => ControlError::Broken { address: address.clone(), source: Arc::new(other) },
        };
        self.judge_link(&address, Some(&error));
        self.refuse(call.question, error);
        self.go_on(&address);
        self.close_unless_needed(&address);
    }

    /// Sends a call once more whose connection was closed under it: what goes to a peer goes on any of its connections, one that is
    /// closing too. To announce twice is to announce once.
    fn again(&mut self, asked: Asked) -> bool {
        let Some((id, address)) = self.asked.get(&asked).cloned() else { return false };
        let Some(call) = self.calls.get_mut(&id).filter(|call| !call.is_second) else { return false };
        call.is_second = true;
        self.asked.remove(&asked);
        if let Some(link) = self.links.get(&address) {
            link.settled();
            link.waiting.push_back(id);
        }
        self.go_on(&address);
        true
    }

    /// Ends the calls whose time is over. Who has owed an answer for so long and given none is taken for dead: its connections are closed,
    /// the next call makes another. A call that waited for others, or was sent a moment ago, says nothing of its peer.
    pub(super) fn expire(&mut self) {
        let now = self.now();
        while let Some((deadline, id)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now) {
            self.deadlines.remove(&(deadline, id));
            let Some(call) = self.calls.remove(&id) else { continue };
            let address = call.address;
            let error = ControlError::TimedOut { address: address.clone(), within: self.settings.request_timeout };
            if let Some(link) = self.links.get(&address) {
                let silent = link.silent_for(self.settings.request_timeout.saturating_sub(SENT_AT_ONCE), now);
                let is_connected = matches!(link.road, Road::Up { .. });
                link.waiting.retain(|other| *other != id);
                if let Some(peer) = silent {
                    self.links.leave(peer);
                    // It fails only for who has left.
                    let _ = self.swarm.disconnect_peer_id(peer);
                }
                if silent.is_some() || !is_connected {
                    self.judge_link(&address, Some(&error));
                }
            }
            self.refuse(call.question, error);
            self.go_on(&address);
        }
    }

    /// No way to the address can be made now: all calls that wait for it fail.
    pub(super) fn fail_link(&mut self, address: &ControlAddress, error: &ControlError) {
        self.links.set_road(address, Road::Down);
        self.judge_link(address, Some(error));
        let waiting = self.links.get(address).map(|link| std::mem::take(&mut link.waiting)).unwrap_or_default();
        for id in waiting {
            if let Some(call) = self.calls.remove(&id) {
                self.deadlines.remove(&(call.deadline, id));
                self.refuse(call.question, error.clone());
            }
        }
    }

    /// Takes a call that has its answer, or never will, out of the books. Nothing if its time was over before.
    fn settled(&mut self, asked: Asked, has_answer: bool) -> Option<Call> {
        let (id, address) = self.asked.remove(&asked)?;
        let now = self.now();
        if let Some(link) = self.links.get(&address) {
            link.settled();
            if has_answer {
                link.heard(now);
            }
        }
        let call = self.calls.remove(&id);
        if let Some(call) = &call {
            self.deadlines.remove(&(call.deadline, id));
        } else {
            self.go_on(&address);
        }
        call
    }
}

fn outcome(error: Option<&ControlError>) -> &'static str {
    error.map_or("ok", ControlError::outcome)
}
