use std::{pin::Pin, time::Duration};

use tokio::time::{Instant, Sleep, sleep_until};

use super::super::{ConnectionError, Limits};

/// How often a silent peer is asked whether it is there.
const MOST_PINGS: u32 = 2;

/// Whether a peer is alive: it says something now and then, or is asked to.
#[derive(Debug)]
pub(super) struct Pulse {
    ping_after: Duration,
    dead_after: Duration,
    frame_timeout: Duration,
    heard: Instant,
    /// When the frame began that is not all there.
    frame_began: Option<Instant>,
    /// How often it was asked since it was heard.
    pings: u32,
    /// When it is dead if it is not heard; counts where it was asked.
    dead_at: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Pulse {
    pub(super) fn new(limits: &Limits) -> Self {
        let now = Instant::now();
        let Limits { ping_after, dead_after, frame_timeout, .. } = *limits;
        let alarm = Box::pin(sleep_until(now + ping_after));
        Self { ping_after, dead_after, frame_timeout, heard: now, frame_began: None, pings: 0, dead_at: now, alarm }
    }

    /// The peer said something.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        self.pings = 0;
    }

    /// Nothing was read for so long, by no fault of the peer's.
    pub(super) fn paused(&mut self, pause: Duration) {
        self.heard();
        if let Some(began) = &mut self.frame_began {
            *began += pause;
        }
    }

    /// All of a frame is there.
    pub(super) fn frame_ended(&mut self) {
        self.frame_began = None;
    }

    /// More is waited for: for another frame, or the rest of one.
    pub(super) fn wait(&mut self, is_between_frames: bool) {
        if is_between_frames {
            self.frame_began = None;
            return;
        }
        let began = *self.frame_began.get_or_insert(self.heard);
        // Seldom: the alarm goes off more often than a frame may take.
        if began + self.frame_timeout < self.alarm.deadline() {
            self.alarm.as_mut().reset(began + self.frame_timeout);
        }
    }

    /// Goes off when it is time to look.
    pub(super) fn alarm(&mut self) -> Pin<&mut Sleep> {
        self.alarm.as_mut()
    }

    /// Looks whether all is well, and sets the alarm again; whether the peer is to be asked if it is there.
    pub(super) fn check(&mut self) -> Result<bool, ConnectionError> {
        let now = Instant::now();
        let frame_ends = self.frame_began.map(|began| began + self.frame_timeout);
        if frame_ends.is_some_and(|end| end <= now) {
            return Err(ConnectionError::SlowFrame);
        }
        let is_silent = now >= self.heard + self.ping_after * (self.pings + 1);
        if is_silent && self.pings > 0 && (self.pings == MOST_PINGS || now >= self.dead_at) {
            return Err(ConnectionError::Silent);
        }
        if is_silent {
            if self.pings == 0 {
                // Nobody may have listened for long; that the peer was silent then says nothing.
                self.heard = self.heard.max(now - self.ping_after);
                self.dead_at = self.heard + self.dead_after;
            }
            self.pings += 1;
        }
        let next = self.heard + self.ping_after * (self.pings + 1);
        let next = if self.pings > 0 { next.min(self.dead_at) } else { next };
        self.alarm.as_mut().reset(frame_ends.map_or(next, |end| next.min(end)));
        Ok(is_silent)
    }
}
