//! Whom to ask for a blob, one after the other.

use std::{collections::VecDeque, sync::Arc};

use super::peer::{Missed, Peer};

/// The homes of a blob that stand before this edge. For one that is down the member after them stands in, so that edges which find the
/// same ones down ask the same one next, and the site still fetches once.
pub struct Homes {
    before: VecDeque<Arc<Peer>>,
    /// How many are still to be asked.
    left: usize,
    /// How many more may be tried in vain. That one is left alone for now costs nothing, and is no try.
    spare: usize,
}

impl Homes {
    /// `count` of these members, which are in the blob's order, and end before this edge.
    pub fn new(before: impl IntoIterator<Item = Arc<Peer>>, count: usize) -> Self {
        Self { before: before.into_iter().collect(), left: count, spare: count }
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<Arc<Peer>> {
        self.left = self.left.checked_sub(1)?;
        self.before.pop_front()
    }

    /// Takes in why the last one is of no help.
    pub fn missed(&mut self, missed: &Missed) {
        match missed {
            Missed::Skipped => self.left += 1,
            Missed::Down if self.spare > 0 => (self.left, self.spare) = (self.left + 1, self.spare - 1),
            // Each would ask the upstream, in the same name.
            Missed::Refused => self.left = 0,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::site::{Member, Membership, SiteSecret, SiteSettings};

    fn homes(members: usize, count: usize) -> Homes {
        let own = Member::parse("http://127.0.0.1:1", false).unwrap();
        let settings = SiteSettings {
            membership: Membership::Listed { own: own.clone(), members: vec![own] },
            secret: SiteSecret::new("a secret that is long").unwrap(),
            homes: count,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(1),
            max_connections: 1,
            ca_file: None,
            allow_plain_http: false,
        };
        let member = |number| Member::parse(&format!("http://127.0.0.1:{}", number + 2), false).unwrap();
        let peers: Vec<_> =
            (0..members).map(|number| Arc::new(Peer::new(member(number), None, &settings, None).unwrap())).collect();
        Homes::new(peers, count)
    }

    fn asked(mut homes: Homes, missed: &Missed) -> usize {
        std::iter::from_fn(|| {
            let home = homes.pop()?;
            homes.missed(missed);
            Some(home)
        })
        .count()
    }

    #[test]
    fn others_stand_in_for_those_that_are_down_and_for_no_others() {
        assert_eq!([Missed::Busy, Missed::Malformed("x")].map(|missed| asked(homes(9, 2), &missed)), [2, 2]);
        assert_eq!([Missed::Down, Missed::Skipped, Missed::Refused].map(|missed| asked(homes(9, 2), &missed)), [4, 9, 1]);
        assert_eq!((asked(homes(1, 2), &Missed::Down), asked(homes(0, 2), &Missed::Down)), (1, 0));
    }
}
