//! An answer as it travels: neighbours share an image's layers, so the same few peers are told for many topics, and each record travels
//! once.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize};

use super::{AnnouncedTopic, Answer, Introduction, MOST_MESSAGE_BYTES, OriginLease, ToldPeer, TopicAnswer, most_bytes_of_record};
use crate::record::PeerRecord;

/// The soonest that a tracker can make a peer announce again, in milliseconds.
const LEAST_AGAIN_MS: u32 = 100;

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum WireAnswer {
    Topics { records: Vec<Arc<PeerRecord>>, topics: Vec<WireTopic> },
    Refused,
    Busy { retry_after_ms: u32 },
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum WireTopic {
    /// Peers by their records' places, and whether each has all.
    Told {
        peers: Vec<(u32, bool)>,
        origin: OriginLease,
        again_in_ms: u32,
    },
    Refused,
}

impl WireAnswer {
    /// Of an answer whose size is not known to fit in a message: where it doesn't, each topic is told of fewer peers. With the most bytes
    /// that it takes.
    pub(crate) fn fitting(answer: Answer) -> (Self, usize) {
        let topics = match answer {
            Answer::Topics(topics) => topics,
            Answer::Refused => return (Self::Refused, 0),
            Answer::Busy { retry_after_ms } => return (Self::Busy { retry_after_ms }, 0),
        };
        let told = |topic: &TopicAnswer| if let TopicAnswer::Told(told) = topic { told.peers.len() } else { 0 };
        let mut most_told = topics.iter().map(told).max().unwrap_or(0);
        loop {
            let (wire, most_bytes) = Self::of_topics(&topics, most_told);
            if most_bytes <= MOST_MESSAGE_BYTES || most_told == 0 {
                return (wire, most_bytes);
            }
            most_told /= 2;
        }
    }

    pub(super) fn of_topics(answers: &[TopicAnswer], most_told: usize) -> (Self, usize) {
        let (mut records, mut places, mut most_bytes) = (Vec::new(), HashMap::<PeerId, u32>::new(), 64);
        let mut topics = Vec::with_capacity(answers.len());
        for answer in answers {
            let TopicAnswer::Told(told) = answer else {
                most_bytes += 16;
                topics.push(WireTopic::Refused);
                continue;
            };
            let peers: Vec<(u32, bool)> = told
                .peers
                .iter()
                .take(most_told)
                .map(|peer| {
                    let place = *places.entry(peer.record.peer).or_insert_with(|| {
                        most_bytes += most_bytes_of_record(&peer.record);
                        records.push(Arc::clone(&peer.record));
                        u32::try_from(records.len() - 1).expect("an answer tells of fewer peers than that")
                    });
                    (place, peer.has_all)
                })
                .collect();
            most_bytes += 96 + 8 * peers.len() + 2 * told.origin.stripes.len();
            let Introduction { ref origin, again_in_ms, .. } = *told;
            topics.push(WireTopic::Told { peers, origin: origin.clone(), again_in_ms });
        }
        (Self::Topics { records, topics }, most_bytes)
    }

    /// As `own` takes it from a tracker at `by` that it has announced these topics to: no more than was asked for, with addresses only that
    /// can be dialed, without `own`, who need not be told of itself, and with nothing that holds longer than `most`. Else what is wrong
    /// with it.
    pub(crate) fn into_answer(
        self,
        own: PeerId,
        by: IpAddr,
        announced: &[AnnouncedTopic],
        most: Duration,
    ) -> Result<Answer, &'static str> {
        let (records, topics) = match self {
            Self::Topics { records, topics } => (records, topics),
            Self::Refused => return Ok(Answer::Refused),
            Self::Busy { retry_after_ms } => return Ok(Answer::Busy { retry_after_ms }),
        };
        if topics.len() != announced.len() {
            return Err("it has not one part for each topic");
        }
        let most_ms = u32::try_from(most.as_millis()).unwrap_or(u32::MAX);
        let clean = |record: Arc<PeerRecord>| {
            let record = Arc::unwrap_or_clone(record);
            (record.locality.has_short_names() && record.peer != own).then(|| Arc::new(record.as_told(by)))
        };
        let records: Vec<Option<Arc<PeerRecord>>> = records.into_iter().map(clean).collect();
        let answers = topics.into_iter().zip(announced).map(|(topic, announced)| topic.into_answer(&records, announced, most_ms));
        answers.collect::<Option<_>>().map(Answer::Topics).ok_or("it tells of a peer without a record")
    }
}

impl WireTopic {
    fn into_answer(self, records: &[Option<Arc<PeerRecord>>], announced: &AnnouncedTopic, most_ms: u32) -> Option<TopicAnswer> {
        let Self::Told { peers: places, mut origin, again_in_ms } = self else {
            return Some(TopicAnswer::Refused);
        };
        let (mut peers, mut known) = (Vec::new(), HashSet::new());
        for (place, has_all) in places {
            let record = records.get(usize::try_from(place).ok()?)?.as_ref();
            if let Some(record) = record.filter(|record| peers.len() < announced.wants_peers.into() && known.insert(record.peer))
            {
                peers.push(ToldPeer { record: Arc::clone(record), has_all });
            }
        }
        origin.stripes.retain(|stripe| *stripe < origin.of);
        origin.stripes.sort_unstable();
        origin.stripes.dedup();
        origin.stripes.truncate(announced.wants_origin.into());
        origin.for_ms = origin.for_ms.min(most_ms);
        let again_in_ms = again_in_ms.min(most_ms).max(LEAST_AGAIN_MS);
        Some(TopicAnswer::Told(Introduction { peers, origin, again_in_ms }))
    }
}
