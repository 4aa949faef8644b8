//! Whether peers may have what they open, and till when.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use crate::{
    moment::Moment,
    network::Counts,
    swarm::{SwarmSettings, callback::answer_of, input::Input, link::LinkId, task::Task},
    wire::TopicId,
};

/// How long before a right ends it is found out whether it still holds.
const RENEWAL: Duration = Duration::from_secs(5);
/// A right that ends so much later than was known was renewed; else it is the same as before.
const LEAST_GAIN: Duration = Duration::from_millis(500);
/// When it is tried again to find out about a right for which there was no room.
const ROOM_PAUSE: Duration = Duration::from_millis(500);
/// How many questions of one connection are being answered while it may open another topic.
const MOST_OF_ONE: usize = 16;
/// Metainfo that a connection has not taken yet, in bytes; over it topics are answered without.
const MOST_UNSENT_BYTES: u64 = 8 << 20;

/// The questions whether peers may have something that are being answered, and when the next are to be asked.
#[derive(Debug, Default)]
pub(in crate::swarm) struct Judging {
    all: usize,
    of: BTreeMap<LinkId, Judged>,
    /// Those of each network but this machine itself.
    of_network: Counts,
    /// When which right is to be seen to: till it ends, to find out whether it still holds, and then to end it.
    dues: BTreeSet<(Moment, LinkId, TopicId)>,
    unsent: BTreeMap<LinkId, Unsent>,
}

/// The questions of one connection.
#[derive(Debug)]
struct Judged {
    count: usize,
    from: IpAddr,
}

/// Of what there are too many for one question more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Crowd {
    /// Of all.
    All,
    /// Of those from one network.
    Network,
    /// Of those of one connection.
    Connection,
}

impl Crowd {
    /// As a metric's label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Network => "network",
            Self::Connection => "connection",
        }
    }
}

/// Metainfo that waits to be sent over a connection.
#[derive(Debug, Default)]
struct Unsent {
    bytes: u64,
    /// What had gone over the connection when it was so much.
    sent_bytes: u64,
}

impl Unsent {
    /// Adds so much, where there is room. What is said first goes first, so what has gone since is of what waited.
    fn add(&mut self, bytes: u64, sent_bytes: u64) -> bool {
        self.bytes = self.bytes.saturating_sub(sent_bytes.saturating_sub(self.sent_bytes));
        self.sent_bytes = sent_bytes;
        let has_room = self.bytes == 0 || self.bytes.saturating_add(bytes) <= MOST_UNSENT_BYTES;
        self.bytes += if has_room { bytes } else { 0 };
        has_room
    }
}

impl Judging {
    /// Whether a connection from there may open one topic more now. Who is refused what it asks for is answered late, so whoever holds all
    /// places keeps everybody out: no connection and no network has more than its part.
    pub(super) fn room_for(&self, link: LinkId, from: IpAddr, settings: &SwarmSettings) -> Result<(), Crowd> {
        if self.of.get(&link).is_some_and(|judged| judged.count >= MOST_OF_ONE) {
            Err(Crowd::Connection)
        } else if self.of_network.of(from) >= settings.most_judged_per_ip {
            Err(Crowd::Network)
        } else if self.all >= settings.most_judged {
            Err(Crowd::All)
        } else {
            Ok(())
        }
    }

    fn begin(&mut self, link: LinkId, from: IpAddr) {
        self.all += 1;
        self.of.entry(link).or_insert(Judged { count: 0, from }).count += 1;
        if !from.to_canonical().is_loopback() {
            self.of_network.add(from);
        }
    }

    /// A question is answered, and so is who asked.
    pub(super) fn end(&mut self, link: LinkId) {
        self.all = self.all.saturating_sub(1);
        if let Some(judged) = self.of.get_mut(&link) {
            judged.count -= 1;
            self.of_network.remove(judged.from);
            if judged.count == 0 {
                self.of.remove(&link);
            }
        }
    }

    /// A right is to be seen to no more.
    pub(super) fn forget(&mut self, due: Option<Moment>, link: LinkId, id: TopicId) {
        if let Some(at) = due {
            self.dues.remove(&(at, link, id));
        }
    }

    /// Whether so many bytes of metainfo may be said over a connection over which so many have gone; then they are.
    pub(super) fn say_metainfo(&mut self, link: LinkId, bytes: u64, sent_bytes: u64) -> bool {
        self.unsent.entry(link).or_default().add(bytes, sent_bytes)
    }

    /// Connections are gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(LinkId) -> bool) {
        self.dues.retain(|(_, link, _)| is_there(*link));
        self.unsent.retain(|link, _| is_there(*link));
    }
}

impl Task {
    /// Finds out whether a peer may have what it has opened.
    pub(super) fn judge(&mut self, link_id: LinkId, id: TopicId, want_metainfo: bool) {
        let Some(link) = self.links.get_mut(link_id) else { return };
        let Some(theirs) = link.theirs.get_mut(&id) else { return };
        theirs.is_judged = true;
        self.judging.begin(link_id, link.peer.remote.ip());
        let (rights, inputs, peer) = (self.rights.clone(), self.inputs.clone(), link.peer.id);
        let (topic, token, patience) = (theirs.topic.clone(), theirs.token.clone(), self.settings.callback_timeout);
        tokio::spawn(async move {
            let holds_for = answer_of("may_have", patience, rights.may_have(&topic, peer, token.as_ref())).await.flatten();
            let _ = inputs.send(Input::Judged { link: link_id, id, holds_for, want_metainfo }).await;
        });
    }

    /// It is known whether a peer may have what it has opened.
    pub(in crate::swarm) fn judged(
        &mut self,
        link_id: LinkId,
        id: TopicId,
        holds_for: Option<Duration>,
        want_metainfo: bool,
        now: Moment,
    ) {
        let theirs = self.links.get_mut(link_id).and_then(|link| link.theirs.get_mut(&id));
        let known = theirs.map(|theirs| {
            theirs.is_judged = false;
            theirs.until
        });
        let kept = self.links.get(link_id).and_then(|link| self.kept(link.theirs.get(&id)?));
        let (Some(known), Some(_), Some(holds_for)) = (known, kept, holds_for) else {
            self.judging.end(link_id);
            if known.is_some() {
                if holds_for.is_none() {
                    self.metrics.refused.inc();
                }
                self.refuse(link_id, id, now);
            }
            return;
        };
        let until = now + holds_for;
        if let Some(before) = known {
            self.judging.end(link_id);
            let is_renewed = until > before + LEAST_GAIN;
            let due = if is_renewed { renewal_of(until, now) } else { until };
            return self.let_until(link_id, id, until, due);
        }
        let Some(theirs) = self.links.get_mut(link_id).and_then(|link| link.theirs.get_mut(&id)) else { return };
        theirs.granted = Some(until);
        if !want_metainfo {
            return self.answer(link_id, id, None, now);
        }
        let (holdings, inputs, topic) = (self.holdings.clone(), self.inputs.clone(), theirs.topic.clone());
        let patience = self.settings.callback_timeout;
        tokio::spawn(async move {
            let metainfo = answer_of("metainfo", patience, holdings.metainfo(&topic)).await.flatten();
            let _ = inputs.send(Input::Metainfo { link: link_id, id, metainfo }).await;
        });
    }

    /// A peer that was told so may have what it has opened; from now on it hears of each piece that comes.
    pub(super) fn let_in(&mut self, link_id: LinkId, id: TopicId, until: Moment, now: Moment) {
        self.let_until(link_id, id, until, renewal_of(until, now));
    }

    fn let_until(&mut self, link_id: LinkId, id: TopicId, until: Moment, due: Moment) {
        self.links.let_at(link_id, id, until);
        self.set_due(link_id, id, due);
    }

    fn set_due(&mut self, link_id: LinkId, id: TopicId, at: Moment) {
        let Some(theirs) = self.links.get_mut(link_id).and_then(|link| link.theirs.get_mut(&id)) else { return };
        self.judging.forget(theirs.due.replace(at), link_id, id);
        self.judging.dues.insert((at, link_id, id));
    }

    /// Takes back what peers have open and may not have any more; before that, it is found out whether they still may.
    pub(in crate::swarm) fn end_rights(&mut self, now: Moment) {
        while let Some((at, link_id, id)) = self.judging.dues.first().copied()
            && at <= now
        {
            self.judging.dues.pop_first();
            let Some(theirs) = self.links.get_mut(link_id).and_then(|link| link.theirs.get_mut(&id)) else { continue };
            theirs.due = None;
            let (is_judged, Some(until)) = (theirs.is_judged, theirs.until) else { continue };
            if until <= now {
                self.refuse(link_id, id, now);
            } else if is_judged {
                self.set_due(link_id, id, until);
            } else if self.judging.all < self.settings.most_judged {
                self.set_due(link_id, id, until);
                self.judge(link_id, id, false);
            } else {
                self.set_due(link_id, id, until.min(now + ROOM_PAUSE));
            }
        }
    }
}

/// When to find out whether a right that was just given, or renewed, still holds; where it is short, half-way.
fn renewal_of(until: Moment, now: Moment) -> Moment {
    let early = Moment(until.0.saturating_sub(RENEWAL));
    early.max(now + until.since(now) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_all_places_of_judging() {
        let settings =
            SwarmSettings { most_judged: 40, most_judged_per_ip: 20, ..SwarmSettings::new(([127, 0, 0, 1], 0).into()) };
        let (mut judging, mut links) = (Judging::default(), LinkId::some());
        let ask = |judging: &mut Judging, link: LinkId, from: &str, times: usize| {
            let from = from.parse().unwrap();
            let admitted = (0..times).take_while(|_| {
                let room = judging.room_for(link, from, &settings);
                room.is_ok().then(|| judging.begin(link, from)).is_some()
            });
            (admitted.count(), judging.room_for(link, from, &settings))
        };
        let [one, two, three, four, local] = std::array::from_fn(|_| links.next().unwrap());
        assert_eq!(ask(&mut judging, one, "fd00::1", 30), (16, Err(Crowd::Connection)));
        assert_eq!(ask(&mut judging, two, "fd00::2", 30), (4, Err(Crowd::Network)), "it is of the same /64");
        assert_eq!(ask(&mut judging, three, "10.0.0.1", 10), (10, Ok(())), "others have their part");
        assert_eq!(ask(&mut judging, local, "127.0.0.1", 15), (10, Err(Crowd::All)));
        assert_eq!(ask(&mut judging, four, "10.0.0.2", 1), (0, Err(Crowd::All)));
        for (link, times) in [(one, 16), (two, 4), (three, 10), (local, 10)] {
            (0..times).for_each(|_| judging.end(link));
        }
        assert!(judging.all == 0 && judging.of.is_empty() && judging.of_network.is_empty());
        // Those on this machine are no network of their own.
        for _ in 0..2 {
            let another = links.next().unwrap();
            assert_eq!(ask(&mut judging, another, "127.0.0.1", 16).0, 16);
        }
    }

    #[test]
    fn metainfo_that_is_not_taken_does_not_pile_up() {
        let mut unsent = Unsent::default();
        let added = |unsent: &mut Unsent, sent_bytes| (0..20).filter(|_| unsent.add(1 << 20, sent_bytes)).count();
        assert_eq!((added(&mut unsent, 1000), added(&mut unsent, 1000)), (8, 0));
        assert_eq!(added(&mut unsent, 1000 + (3 << 20)), 3);
        // However long it is, one goes at a time.
        assert!(unsent.add(1 << 40, 1 << 30) && !unsent.add(1, 1 << 30));
    }
}
