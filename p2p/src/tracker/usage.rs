/// How much a tracker keeps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Topics that somebody announces.
    pub topics: usize,
    /// Peers that announce something.
    pub peers: usize,
    /// Announcements.
    pub announcements: usize,
}

/// What a tracker has done since it began, for metrics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Announcements that were new.
    pub announced: u64,
    /// Announcements that renewed one.
    pub renewed: u64,
    /// Announcements that did not count.
    pub refused: u64,
    /// Announcements that were not renewed in time.
    pub expired: u64,
    /// Announcements that were taken back.
    pub withdrawn: u64,
    /// Announcements that went as their peer's connection broke.
    pub broken_off: u64,
    /// Announcements that made room for newer ones: of their topic, or of a network that has fewer.
    pub evicted: u64,
    /// Peers that others were told of.
    pub told: u64,
    /// Stripes that were leased to who did not hold them.
    pub leased: u64,
    /// Stripes that their holders were not given again, as others wait, a seed came, they made no progress or want them no more.
    pub released: u64,
}
