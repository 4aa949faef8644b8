//! What others ask.

use std::sync::Arc;

use libp2p::{request_response::ResponseChannel, swarm::ConnectionId};
use libp2p_identity::PeerId;
use tokio::task::{Id, JoinError};

use super::Task;
use crate::{
    control::{
        Announce,
        behaviour::AskRecord,
        codec::{Request, Response},
        ids,
        messages::WireAnswer,
    },
    record::PeerRecord,
};

/// An announcement that the service judges.
#[derive(Debug)]
pub(super) struct InHand {
    connection: ConnectionId,
    channel: ResponseChannel<Response<WireAnswer>>,
}

impl Task {
    pub(super) fn on_announce(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        request: Request<Arc<Announce>>,
        channel: ResponseChannel<Response<WireAnswer>>,
    ) {
        let Request::Message(announce, mut receipt) = request else { return self.answer(channel, self.busy().into()) };
        // Without a service the protocol is not offered, and a request comes before its connection's end.
        let (Some(service), Some(from)) = (&self.service, self.guests.from(connection)) else {
            return self.answer(channel, WireAnswer::Refused.into());
        };
        if announce.record.peer != peer || announce.check().is_err() {
            return self.answer(channel, WireAnswer::Refused.into());
        }
        if self.judging.len() >= self.settings.most_in_hand {
            return self.answer(channel, self.busy().into());
        }
        let mut announce = Arc::unwrap_or_clone(announce);
        announce.record = announce.record.as_reached(from);
        let (service, judging_timeout, busy) = (Arc::clone(service), self.settings.judging_timeout, self.busy());
        let judged = self.judging.spawn(async move {
            let answer = tokio::time::timeout(judging_timeout, service.announce(peer, from, announce)).await;
            let (message, most_bytes) = answer.map_or((busy.clone(), 0), WireAnswer::fitting);
            // What was paid for the announcement is paid for the answer, until it has left.
            let has_room = receipt.as_mut().is_none_or(|receipt| receipt.resize(most_bytes));
            Response { message: if has_room { message } else { busy }, receipt }
        });
        self.guests.announces(connection);
        self.in_hand.insert(judged.id(), InHand { connection, channel });
    }

    pub(super) fn on_judged(&mut self, judged: Result<(Id, Response<WireAnswer>), JoinError>) {
        let (id, answer) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                tracing::error!(%error, "the tracker's service failed");
                (error.id(), self.busy().into())
            }
        };
        let Some(InHand { connection, channel }) = self.in_hand.remove(&id) else { return };
        self.answer(channel, answer);
        let gone = self.guests.answered(connection);
        self.forget(gone);
    }

    pub(super) fn on_record_asked(&mut self, request: Request<AskRecord>, channel: ResponseChannel<Response<PeerRecord>>) {
        // No room is ever given that has none for a record.
        let Request::Message(_, receipt) = request else { return };
        let peer = ids::ours(*self.swarm.local_peer_id());
        let record = PeerRecord { peer, ..self.own_record.borrow().clone() };
        self.metrics.answered.with_label_values(&["record", "told"]).inc();
        // Who asked may have left.
        let _ = self.swarm.behaviour_mut().record.send_response(channel, Response { message: record, receipt });
    }

    pub(super) fn forget(&self, gone: Option<PeerId>) {
        if let (Some(peer), Some(service)) = (gone, &self.service) {
            self.metrics.gone.inc();
            service.gone(peer);
        }
    }

    fn busy(&self) -> WireAnswer {
        WireAnswer::Busy { retry_after_ms: u32::try_from(self.settings.busy_retry.as_millis()).unwrap_or(u32::MAX) }
    }

    fn answer(&mut self, channel: ResponseChannel<Response<WireAnswer>>, answer: Response<WireAnswer>) {
        let name = match &answer.message {
            WireAnswer::Topics { .. } => "told",
            WireAnswer::Refused => "refused",
            WireAnswer::Busy { .. } => "busy",
        };
        self.metrics.answered.with_label_values(&["announce", name]).inc();
        // Who asked may have left.
        let _ = self.swarm.behaviour_mut().tracker.send_response(channel, answer);
    }
}
