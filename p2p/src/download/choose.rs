//! Whom to ask for what next.

use longshore_oci::piece::PieceIndex;
use rand::RngExt;

use super::{Download, Grounds, Turn, peer::Slot};
use crate::locality::Nearness;

/// What may be asked for across the zone's border.
enum Gate {
    /// Anything: nobody else is here.
    Alone,
    /// What nobody here has, since nothing new came to the zone for a while; and from peers far quicker than those here, anything.
    Open { here_bytes_per_second: u64, best_beyond: Option<u64>, is_probing: bool },
    /// What this node fetches for the zone.
    Closed,
}

impl Download {
    /// Fills the pipelines of the zone's peers: the nearest first, those as near in turns.
    pub(super) fn ask_near(&mut self, turn: &mut Turn) {
        self.ask_peers(turn, true, Self::choose);
    }

    /// And those of peers beyond its border, as far as that is worth it.
    pub(super) fn ask_far(&mut self, grounds: &Grounds, turn: &mut Turn) {
        if !self.peers.iter().any(|(_, peer)| !peer.is_in_zone() && peer.useful > 0) {
            return;
        }
        let mut gate = self.gate(turn);
        let mut room = if matches!(gate, Gate::Alone) { u32::MAX } else { self.room_beyond() };
        if !matches!(gate, Gate::Closed) || !grounds.leased.is_empty() {
            self.ask_peers(turn, false, |download, slot| {
                let piece = if room > 0 { download.choose_beyond(slot, &mut gate, grounds) } else { None };
                room -= u32::from(piece.is_some());
                piece
            });
        }
    }

    fn ask_peers(&mut self, turn: &mut Turn, is_near: bool, mut choose: impl FnMut(&mut Self, Slot) -> Option<PieceIndex>) {
        let mut ready: Vec<(Nearness, Slot)> = Vec::new();
        let is_last_resort = turn.is_last_resort;
        let of_use = self.peers.iter().filter(|(_, peer)| peer.is_in_zone() == is_near && peer.useful > 0);
        for (slot, peer) in of_use.filter(|(_, peer)| peer.is_counted || is_last_resort) {
            if peer.rests_until > turn.now {
                turn.wake(peer.rests_until);
            } else if peer.has_room(turn.now, &self.settings) {
                ready.push((peer.nearness, slot));
            }
        }
        for tier in ready.chunk_by_mut(|one, other| one.0 == other.0) {
            tier.rotate_left(self.rng.random_range(0..tier.len()));
            let mut is_any = true;
            while is_any {
                is_any = false;
                for (_, slot) in tier.iter() {
                    let peer = self.peers.get(*slot);
                    if turn.left == 0 || (!is_near && turn.left_beyond == 0) || self.wanted.open().count() == 0 {
                        return;
                    }
                    if peer.useful > 0
                        && peer.has_room(turn.now, &self.settings)
                        && let Some(piece) = choose(self, *slot)
                    {
                        self.ask(*slot, piece, turn);
                        is_any = true;
                    }
                }
            }
        }
    }

    fn choose(&mut self, slot: Slot) -> Option<PieceIndex> {
        let peer = self.peers.get(slot);
        if !peer.is_counted {
            return self.wanted.any_nobodys_of(&peer.has, &mut self.rng);
        }
        if let Some(place) = self.place().filter(|_| self.choices.is_multiple_of(self.settings.window_share.max(1))) {
            let window = place.0..place.0.saturating_add(self.settings.window);
            let next = window.map(PieceIndex).find(|piece| self.wanted.is_open(*piece) && peer.has.contains(*piece));
            if next.is_some() {
                return next;
            }
        }
        self.wanted.rarest_of(&peer.has, peer.useful, &mut self.rng)
    }

    fn choose_beyond(&mut self, slot: Slot, gate: &mut Gate, grounds: &Grounds) -> Option<PieceIndex> {
        let peer = self.peers.get(slot);
        match gate {
            Gate::Alone => self.choose(slot),
            Gate::Open { here_bytes_per_second, best_beyond, is_probing } => {
                let bare = self.wanted.rarest_bare_of(&peer.has, self.origin.striping.all(), &mut self.rng);
                // One of them is tried out where none has shown its pace.
                let is_quick = match peer.pace.bytes_per_second().or(*best_beyond) {
                    Some(pace) => pace / 2 > *here_bytes_per_second,
                    None => !std::mem::replace(is_probing, true),
                };
                bare.or_else(|| is_quick.then(|| self.choose(slot)).flatten())
            }
            Gate::Closed => self.wanted.rarest_bare_of(&peer.has, grounds.leased, &mut self.rng),
        }
    }

    /// How many pieces more may be on their way across the border: all peers beyond share it with all nodes here, and a piece that comes
    /// whole sooner is passed on sooner.
    fn room_beyond(&self) -> u32 {
        let beyond = self.peers.iter().map(|(_, peer)| peer).filter(|peer| !peer.is_in_zone());
        let pipeline = beyond.clone().map(|peer| peer.pace.pipeline(&self.settings)).max().unwrap_or(0);
        let asked = beyond.map(|peer| peer.asked.len()).sum::<usize>();
        pipeline.saturating_sub(u32::try_from(asked).unwrap_or(u32::MAX))
    }

    /// Whether no peer of the zone counts.
    pub(super) fn is_alone_in_the_zone(&self) -> bool {
        !self.peers.iter().any(|(_, peer)| peer.is_counted && peer.is_in_zone())
    }

    fn gate(&self, turn: &mut Turn) -> Gate {
        let (here, beyond): (Vec<_>, Vec<_>) =
            self.peers.iter().map(|(_, peer)| peer).filter(|peer| peer.is_counted).partition(|peer| peer.is_in_zone());
        let opens_at = self.zone_moved + self.border_patience;
        if here.is_empty() {
            Gate::Alone
        } else if turn.now >= opens_at {
            Gate::Open {
                here_bytes_per_second: here.iter().filter_map(|peer| peer.pace.bytes_per_second()).fold(0, u64::saturating_add),
                best_beyond: beyond.iter().filter_map(|peer| peer.pace.bytes_per_second()).max(),
                is_probing: beyond.iter().any(|peer| !peer.asked.is_empty()),
            }
        } else {
            turn.wake(opens_at);
            Gate::Closed
        }
    }
}
