mod parse;
mod pulse;

use std::{io, sync::Arc};

use bytes::BufMut as _;
use tokio::{
    io::{AsyncReadExt as _, ReadHalf},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsStream;

use self::{
    parse::{NEXT, Parsed, State},
    pulse::Pulse,
};
use super::{
    ConnectionError, Event, SendError,
    connection::Socket,
    guests::Slot,
    link::{Half, Link},
    sender::Answers,
};
use crate::wire::Frame;

/// The length of the fixed buffer, in bytes: more than any frame that is read in place.
const BUFFER_BYTES: usize = 32 << 10;
/// The least room for more of a long frame that is taken at once, in bytes; else it is as much as came of it.
const ROOM_STEP_BYTES: usize = 64 << 10;
/// The most that is read, in bytes, when the connection has ended: a peer that left may have said why, and one that goes on is not heard.
const MOST_AT_END_BYTES: usize = 256 << 10;

/// Reads what the peer says.
#[derive(Debug)]
pub struct Reader {
    half: Half,
    stream: ReadHalf<TlsStream<Socket>>,
    answers: Answers,
    state: State,
    /// What was read and not yet looked at: from `start` to `end`.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The highest id that the peer has used.
    last_id: Option<u32>,
    pulse: Pulse,
    is_over: bool,
    /// How much is still read when the connection has ended.
    left_at_end_bytes: usize,
}

impl Reader {
    pub(super) fn new(link: Arc<Link>, slot: Arc<Slot>, stream: ReadHalf<TlsStream<Socket>>, answers: Answers) -> Self {
        let pulse = Pulse::new(&link.limits);
        let (state, buffer) = (State::Head { is_after_block: false }, vec![0; BUFFER_BYTES].into());
        let half = Half::new(link, slot);
        Self {
            half,
            stream,
            answers,
            state,
            buffer,
            start: 0,
            end: 0,
            last_id: None,
            pulse,
            is_over: false,
            left_at_end_bytes: MOST_AT_END_BYTES,
        }
    }

    /// What the peer says next. It may be given up while it is waited for, and nothing is lost. After an error the connection has ended.
    /// Only while somebody waits here is the peer asked whether it is there, and answered when it asks that.
    pub async fn next(&mut self) -> Result<Event, ConnectionError> {
        if self.is_over {
            return Err(ConnectionError::Ended);
        }
        let read = self.read_on().await;
        if read.is_err() {
            self.is_over = true;
            self.link().end();
            // With it goes the memory for what was just being received.
            self.state = NEXT;
        }
        read
    }

    async fn read_on(&mut self) -> Result<Event, ConnectionError> {
        loop {
            match self.parse()? {
                Parsed::Event(event) => return Ok(event),
                Parsed::Nothing => {}
                Parsed::NeedsRoom => {
                    if let Some(event) = self.find_room().await? {
                        return Ok(event);
                    }
                }
                Parsed::NeedsBytes => self.fill().await?,
            }
        }
    }

    /// Reads more, to where it belongs.
    async fn fill(&mut self) -> Result<(), ConnectionError> {
        self.make_space();
        let is_between_frames = matches!(self.state, State::Head { .. }) && self.start == self.end;
        self.pulse.wait(is_between_frames);
        if self.left_at_end_bytes == 0 {
            return Err(ConnectionError::Ended);
        }
        loop {
            let read = tokio::select! {
                biased;
                read = read(&mut self.stream, &mut self.state, &mut self.buffer[self.end..], self.end - self.start) => read?,
                () = self.half.link.ended.cancelled() => return Err(ConnectionError::Ended),
                () = self.pulse.alarm() => {
                    if self.pulse.check()? {
                        self.link().ping();
                    }
                    continue;
                }
            };
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if self.link().ended.is_cancelled() {
                self.left_at_end_bytes = self.left_at_end_bytes.saturating_sub(read);
            }
            self.pulse.heard();
            self.link().traffic.note_received(read);
            match &mut self.state {
                State::Block { room: Some(_), left_bytes, .. } => *left_bytes -= read,
                State::Long(_) => {}
                _ => self.end += read,
            }
            return Ok(());
        }
    }

    /// Waits until more of a long frame may be received. Where that takes too long its topic is given up.
    async fn find_room(&mut self) -> Result<Option<Event>, ConnectionError> {
        let State::Long(long) = &mut self.state else { return Ok(None) };
        let more_bytes = long.body.len().max(ROOM_STEP_BYTES).min(long.body_bytes - long.body.len());
        let kibibytes = u32::try_from(more_bytes.div_ceil(1024)).expect("no frame is that long");
        let link = &self.half.link;
        let since = *long.waits_since.get_or_insert_with(Instant::now);
        let found = tokio::select! {
            found = timeout_at(since + link.limits.room_timeout, link.metainfo_room.clone().acquire_many_owned(kibibytes)) => found,
            () = link.ended.cancelled() => return Err(ConnectionError::Ended),
        };
        self.pulse.paused(since.elapsed());
        if let Ok(Ok(more)) = found {
            long.grow(more_bytes, more);
            return Ok(None);
        }
        let id = long.id;
        self.state = State::Skipped { left_bytes: long.body_bytes - long.body.len() };
        if !self.link().asked().refused(id)? {
            return Ok(None);
        }
        self.say(&Frame::Close { id })?;
        Ok(Some(Event::Refused { id }))
    }

    /// Says what needs nobody's decision.
    fn say(&self, frame: &Frame) -> Result<(), ConnectionError> {
        self.answers.say(frame).map_err(|error| match error {
            SendError::Full => ConnectionError::Stalled,
            _ => ConnectionError::Ended,
        })
    }

    /// Makes space in the buffer for all that the state needs there.
    fn make_space(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start + self.state.needed_bytes() > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    fn link(&self) -> &Link {
        &self.half.link
    }
}

/// Reads into what the state has for it, or the buffer's free part; so many bytes are in the buffer already.
async fn read(
    stream: &mut ReadHalf<TlsStream<Socket>>,
    state: &mut State,
    free: &mut [u8],
    buffered_bytes: usize,
) -> io::Result<usize> {
    match state {
        State::Block { room: Some(room), left_bytes, .. } => stream.read_buf(&mut (&mut room.bytes).limit(*left_bytes)).await,
        State::Long(long) => {
            let left_bytes = long.room_bytes - long.body.len();
            stream.read_buf(&mut (&mut long.body).limit(left_bytes)).await
        }
        state => {
            let most = state.most_bytes(buffered_bytes).min(free.len());
            stream.read(&mut free[..most]).await
        }
    }
}
