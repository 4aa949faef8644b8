//! One term: a task that takes in what happens, decides, and has it written.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _, OptionFuture};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Clock, Evicted, Lead, LeadMetrics, Leader, Question, State, Tenure, TermEnd,
    following::{Changed, Following},
    loading::{self, load},
    streams::Streams,
    verdicts::{self, Judged},
    writing::{Written, write},
};
use crate::{control::Controller, image::ImageResolver, state::StateError};

/// How many questions wait for the leader.
const QUESTIONS: usize = 16_384;
/// How many questions are answered until what came of them is decided.
const AT_ONCE: usize = 4_096;
/// How often it is looked whether callers have changed something by way of another replica.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// How often it is counted what there is.
const COUNT_PERIOD: Duration = Duration::from_secs(10);
/// How long it is waited at most until it is decided again.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long the last of what was decided may take to be written when this process stops.
const LAST_WRITE: Duration = Duration::from_secs(3);

/// A batch on its way to the database.
type Writing = BoxFuture<'static, Result<Written, StateError>>;
/// Events that are being read: up to where, and what was changed.
type Looking = BoxFuture<'static, Result<(u64, BTreeSet<Changed>), StateError>>;

/// One term.
pub(crate) struct Term {
    controller: Controller,
    clock: Clock,
    number: u64,
    turn: u64,
    state: State,
    resolver: ImageResolver,
    following: Following,
    streams: Streams,
    questions: mpsc::Receiver<Question>,
    judged: (mpsc::Sender<Judged>, mpsc::Receiver<Judged>),
    lost: CancellationToken,
    stop: CancellationToken,
    writing: Option<Writing>,
    looking: Option<Looking>,
    look_at: Instant,
    metrics: LeadMetrics,
    /// When it is counted again what there is.
    count_at: Instant,
}

impl Term {
    /// Reads everything; the leader that others ask.
    pub(crate) async fn begin(lead: &Lead, tenure: &Tenure, stop: CancellationToken) -> Result<(Self, Leader), TermEnd> {
        let clock = Clock::start();
        let mut controller = Controller::new(lead.settings, tenure.term, rand::random(), clock.now());
        let state = lead.state.clone();
        let position = tokio::select! {
            () = tenure.lost.cancelled() => return Err(TermEnd::LeaseLost),
            () = stop.cancelled() => return Err(TermEnd::Stopped),
            position = load(&state, &mut controller) => position?,
        };
        controller.begin(clock.now());
        let (sender, questions) = mpsc::channel(QUESTIONS);
        let term = Self {
            controller,
            clock,
            number: 0,
            turn: tenure.term,
            state,
            resolver: lead.resolver.clone(),
            following: Following::from(position),
            streams: Streams::new(lead.settings.instructions_waiting),
            questions,
            judged: mpsc::channel(QUESTIONS),
            lost: tenure.lost.clone(),
            stop,
            writing: None,
            looking: None,
            look_at: Instant::now(),
            metrics: lead.metrics.clone(),
            count_at: Instant::now(),
        };
        Ok((term, Leader { term: tenure.term, questions: sender }))
    }

    /// Leads until the lease is lost, the database fails it, or this process stops.
    pub(crate) async fn run(mut self) -> TermEnd {
        loop {
            let began = std::time::Instant::now();
            let now = self.clock.now();
            if let Some(pause) = self.clock.pause() {
                self.controller.note_pause(pause, now);
            }
            self.controller.decide(now);
            self.write_next(began);
            self.count();
            let (lost, stop) = (self.lost.clone(), self.stop.clone());
            let waited = tokio::select! {
                biased;
                () = lost.cancelled() => Err(TermEnd::LeaseLost),
                () = stop.cancelled() => Err(TermEnd::Stopped),
                waited = self.wait() => waited,
            };
            if let Err(ended) = waited {
                if matches!(ended, TermEnd::Stopped) {
                    self.write_last().await;
                }
                return ended;
            }
        }
    }

    /// Has what was decided written, unless what was decided before still is.
    fn write_next(&mut self, began: std::time::Instant) {
        if self.writing.is_some() {
            return;
        }
        let mut output = self.controller.take();
        self.metrics.decided(began.elapsed(), &output.tally);
        if output.is_empty() {
            return;
        }
        for asked in std::mem::take(&mut output.verdicts) {
            verdicts::ask(&self.resolver, asked, self.judged.0.clone());
        }
        if output.writes.is_empty() && output.events.is_empty() {
            self.tell(output.told);
            return;
        }
        self.number += 1;
        self.writing = Some(write(self.state.clone(), self.turn, self.number, output, self.clock.now()).boxed());
    }

    /// Shows how many there are of what, now and then: there may be very many pods.
    fn count(&mut self) {
        if Instant::now() >= self.count_at {
            self.metrics.show(&self.controller.census());
            self.count_at = Instant::now() + COUNT_PERIOD;
        }
    }

    /// Waits until something happens, and takes it in.
    async fn wait(&mut self) -> Result<(), TermEnd> {
        if self.looking.is_none() && Instant::now() >= self.look_at {
            let (position, own) = (self.following.position(), self.following.own());
            self.looking = Some(Following::changes(self.state.clone(), position, own).boxed());
        }
        let until = self.wakes_at();
        tokio::select! {
            biased;
            written = OptionFuture::from(self.writing.as_mut().map(Pin::as_mut)), if self.writing.is_some() => {
                self.writing = None;
                if let Some(written) = written {
                    self.take_written(written)?;
                }
            }
            looked = OptionFuture::from(self.looking.as_mut().map(Pin::as_mut)), if self.looking.is_some() => {
                self.looking = None;
                self.look_at = Instant::now() + LOOK_PERIOD;
                if let Some(looked) = looked {
                    self.take_changes(looked).await?;
                }
            }
            Some((workload, revision, verdict)) = self.judged.1.recv() => {
                self.controller.judge(workload, revision, verdict, self.clock.now());
            }
            Some(question) = self.questions.recv() => {
                self.answer(question);
                for _ in 1..AT_ONCE {
                    let Ok(question) = self.questions.try_recv() else { break };
                    self.answer(question);
                }
            }
            () = sleep_until(until) => {}
        }
        Ok(())
    }

    /// When it is decided again though nothing has happened.
    fn wakes_at(&self) -> Instant {
        let now = self.clock.now();
        let own = self.controller.next_at().map_or(LONGEST_SLEEP, |at| {
            // What is due is held back where a batch is being written: its end wakes.
            Duration::from_millis(u64::try_from(at - now).unwrap_or(0).max(1)).min(LONGEST_SLEEP)
        });
        let wakes = Instant::now() + own;
        if self.looking.is_some() { wakes } else { wakes.min(self.look_at) }
    }

    fn take_written(&mut self, written: Result<Written, StateError>) -> Result<(), TermEnd> {
        let Written { output, events, took, changes } = match written {
            Ok(written) => written,
            Err(StateError::Fenced) => return Err(TermEnd::LeaseLost),
            Err(error) => return Err(error.into()),
        };
        self.metrics.written(took, changes, &output.tally, self.clock.now());
        if let Some((last, count)) = events {
            self.following.note_own(last, count);
        }
        self.tell(output.told);
        Ok(())
    }

    fn tell(&mut self, told: Vec<crate::control::Told>) {
        for (node, stream) in self.streams.tell(told) {
            self.controller.close(node, stream, self.clock.now());
        }
    }

    /// Callers have changed things: each is read as it is now.
    async fn take_changes(&mut self, looked: Result<(u64, BTreeSet<Changed>), StateError>) -> Result<(), TermEnd> {
        let (position, changes) = match looked {
            Ok(looked) => looked,
            Err(error) if error.is_uncertain() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "what callers change can't be read now");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for changed in changes {
            match loading::reload(&self.state, &mut self.controller, &changed).await {
                Ok(()) => {}
                Err(TermEnd::State(error)) if error.is_uncertain() => {
                    // It is read again, with all that was changed besides.
                    tracing::warn!(error = &error as &dyn std::error::Error, "what callers change can't be read now");
                    return Ok(());
                }
                Err(ended) => return Err(ended),
            }
        }
        self.following.read_up_to(position);
        Ok(())
    }

    fn answer(&mut self, question: Question) {
        let now = self.clock.now();
        let controller = &mut self.controller;
        // Who has gone meanwhile does not mind.
        match question {
            Question::ExplainPod(pod, answer) => drop(answer.send(controller.explain_pod(pod))),
            Question::ExplainWorkload(workload, answer) => drop(answer.send(controller.explain_workload(workload))),
            Question::Plan(question, answer) => drop(answer.send(controller.plan(&question))),
            Question::Nodes(ids, answer) => drop(answer.send(controller.nodes(&ids))),
            Question::Health(zone, answer) => drop(answer.send(controller.health(zone.as_deref()))),
            Question::Holders(digest, slice, answer) => drop(answer.send(controller.holders(&digest, &slice))),
            Question::Advice(most, answer) => drop(answer.send(controller.advice(most))),
            Question::Evict(pod, author, answer) => {
                let evicted = match controller.evict_for(pod, author.as_deref()) {
                    None => Evicted::NoSuchPod,
                    Some(true) => Evicted::Ending,
                    Some(false) => Evicted::Kept("its workload's disruption budget lets no more of its pods go now".to_owned()),
                };
                drop(answer.send(evicted));
            }
            Question::Open(node, answer) => {
                let stream = controller.open(node, now);
                drop(answer.send(stream.map(|stream| self.streams.open(node, stream))));
            }
            Question::Closed(node, stream) => {
                self.streams.close(node, stream);
                controller.close(node, stream, now);
            }
            Question::Report(node, report, answer) => drop(answer.send(controller.report(node, *report, now))),
            Question::Logs(wanted, answer) => drop(answer.send(controller.logs(wanted))),
            Question::Changed => self.look_at = Instant::now(),
        }
    }

    /// This process stops: what was decided is written if that is quick, so that nobody has to decide it again.
    async fn write_last(mut self) {
        let last = async {
            if let Some(writing) = self.writing.take() {
                writing.await?;
            }
            let output = self.controller.take();
            write(self.state.clone(), self.turn, self.number + 1, output, self.clock.now()).await.map(drop)
        };
        match tokio::time::timeout(LAST_WRITE, last).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = &error as &dyn std::error::Error, "what was decided last is not written"),
            Err(_) => tracing::warn!("what was decided last is not written: the database does not answer"),
        }
    }
}
