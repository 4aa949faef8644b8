//! The records that are left, played back, must give what the database says, whatever was pushed, moved, deleted and retired.

use bytes::Bytes;
use longshore_oci::{Algorithm, Digest};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{
    Subject,
    journal::{Change, Journal},
    on_every_database,
    samples::{artifact, at_tag, image, push, repository, tag},
};
use crate::state::{DeleteManifest, PutManifest};

on_every_database!(
    a_tag_that_moves_leaves_few_records,
    pushes_and_deletions_leave_few_records,
    tags_that_come_and_go_leave_few_records
);

const REPOSITORIES: [&str; 2] = ["a/b", "c"];
const TAGS: [&str; 3] = ["latest", "v1", "v2"];

/// One step of a sequence. Repositories, manifests and tags go by their place in the lists.
#[derive(Clone, Debug)]
enum Step {
    /// A push, with a set of tags as bits. A late one has its record written now, and reaches the database at a later `Arrive`.
    Push {
        repository: usize,
        manifest: usize,
        tags: usize,
        is_late: bool,
        platform: Option<&'static str>,
    },
    Untag {
        repository: usize,
        tag: usize,
        is_late: bool,
    },
    Delete {
        repository: usize,
        manifest: usize,
        is_late: bool,
    },
    /// The late change of this turn reaches the database.
    Arrive {
        turn: usize,
    },
    Retire {
        limit: u32,
    },
    /// Garbage is deleted, but for the turns in this set of bits.
    Sweep {
        spared: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let is_late = || prop::bool::weighted(0.15);
    let platform = prop::option::of(prop_oneof![Just("linux/amd64"), Just("linux/arm64")]);
    prop_oneof![
        6 => (0..2usize, 0..3usize, 0..8usize, is_late(), platform).prop_map(|(repository, manifest, tags, is_late, platform)| {
            Step::Push { repository, manifest, tags, is_late, platform }
        }),
        3 => (0..2usize, 0..3usize, is_late()).prop_map(|(repository, tag, is_late)| Step::Untag { repository, tag, is_late }),
        3 => (0..2usize, 0..3usize, is_late()).prop_map(|(repository, manifest, is_late)| {
            Step::Delete { repository, manifest, is_late }
        }),
        2 => (0..3usize).prop_map(|turn| Step::Arrive { turn }),
        3 => (1..4u32).prop_map(|limit| Step::Retire { limit }),
        3 => any::<u8>().prop_map(|spared| Step::Sweep { spared }),
    ]
}

struct World<'s> {
    live: &'s Subject,
    journal: Journal,
    under_way: Vec<Change>,
    manifests: [Bytes; 3],
}

impl World<'_> {
    async fn take(&mut self, step: &Step) {
        let state = &self.live.state;
        match *step {
            Step::Push { repository: at, manifest, tags, is_late, platform } => {
                let revision = state.begin_change(&repository(REPOSITORIES[at])).await.unwrap();
                let names: Vec<&str> = (0..3).filter(|bit| tags & (1 << bit) != 0).map(|bit| TAGS[bit]).collect();
                let platform = platform.map(str::to_owned);
                let put = PutManifest { platform, ..push(REPOSITORIES[at], &self.manifests[manifest], &names, revision) };
                self.change(Change::Push(Box::new(put)), is_late).await;
            }
            Step::Untag { repository: at, tag: which, is_late } => {
                let repository = repository(REPOSITORIES[at]);
                let revision = state.begin_change(&repository).await.unwrap();
                self.change(Change::Untag(repository, tag(TAGS[which]), revision), is_late).await;
            }
            Step::Delete { repository: at, manifest, is_late } => {
                let (repository, digest) =
                    (repository(REPOSITORIES[at]), Digest::of(Algorithm::Sha256, &self.manifests[manifest]));
                let Some(tags) = state.tags_of(&repository, &digest).await.unwrap() else { return };
                let revision = state.begin_change(&repository).await.unwrap();
                self.change(Change::Delete(DeleteManifest { repository, digest, tags, revision }), is_late).await;
            }
            Step::Arrive { turn } if turn < self.under_way.len() => {
                let change = self.under_way.remove(turn);
                self.journal.finish(state, change).await;
            }
            Step::Arrive { .. } => {}
            Step::Retire { limit } => {
                state.retire_records(limit).await.unwrap();
            }
            Step::Sweep { spared } => self.journal.sweep(state, |turn| spared & (1 << (turn % 8)) != 0).await,
        }
    }

    async fn change(&mut self, change: Change, is_late: bool) {
        self.journal.begin(&change);
        if is_late {
            self.under_way.push(change);
        } else {
            self.journal.finish(&self.live.state, change).await;
        }
    }

    /// That what is left gives the same, and goes on to do so when all is swept.
    async fn check(&self, scratch: &Subject) -> Result<(), TestCaseError> {
        self.journal.replay(&scratch.state, &self.under_way).await;
        prop_assert_eq!(Journal::shown(scratch).await, Journal::shown(self.live).await);
        Ok(())
    }
}

async fn run(live: &Subject, scratch: &Subject, steps: &[Step]) -> Result<(), TestCaseError> {
    live.state.clear().await.unwrap();
    let first = image("config", &["layer"]);
    let manifests = [first.clone(), image("other config", &["layer"]), artifact("application/x-note", "", &first)];
    let mut world = World { live, journal: Journal::default(), under_way: Vec::new(), manifests };
    for step in steps {
        world.take(step).await;
        world.check(scratch).await?;
    }
    for change in std::mem::take(&mut world.under_way) {
        world.journal.finish(&live.state, change).await;
    }
    world.journal.settle(&live.state).await;
    world.check(scratch).await
}

fn sequences(cases: u32, open: impl AsyncFn() -> Subject) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (live, scratch) = runtime.block_on(async { (open().await, open().await) });
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(step(), 1..16), |steps| runtime.block_on(run(&live, &scratch, &steps)))
        .unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(async move { drop((live, scratch)) });
}

#[test]
fn any_sequence_can_be_played_back_on_sqlite() {
    sequences(200, Subject::sqlite);
}

#[test]
fn any_sequence_can_be_played_back_on_postgres() {
    sequences(100, Subject::postgres);
}

async fn a_tag_that_moves_leaves_few_records(subject: Subject) {
    let (state, journal) = (&subject.state, Journal::default());
    let contents = [image("one", &[]), image("two", &[])];
    let mut most = 0;
    for turn in 0..1000 {
        journal.push(state, "a/b", &contents[turn % 2], &["latest"]).await;
        if turn % 20 == 19 {
            journal.settle(state).await;
            most = most.max(journal.count());
        }
    }
    assert!(most <= 2, "{most} records are left of a tag that moved");
    assert_eq!(at_tag(state, "a/b", "latest").await, Some(Digest::of(Algorithm::Sha256, &contents[1])));
}

async fn pushes_and_deletions_leave_few_records(subject: Subject) {
    let (state, journal, name) = (&subject.state, Journal::default(), repository("a/b"));
    let content = image("one", &[]);
    let mut most = 0;
    for turn in 0..1000 {
        let digest = journal.push(state, "a/b", &content, &["latest"]).await;
        assert!(journal.delete(state, &name, &digest).await);
        if turn % 20 == 19 {
            journal.settle(state).await;
            most = most.max(journal.count());
        }
    }
    assert_eq!((most, subject.count("records").await, subject.count("record_subjects").await), (0, 0, 0));
}

/// As a build server does it: a tag of its own for each build, deleted after.
async fn tags_that_come_and_go_leave_few_records(subject: Subject) {
    let (state, journal, name) = (&subject.state, Journal::default(), repository("a/b"));
    let content = image("one", &[]);
    let mut most = 0;
    for turn in 0..300 {
        let build = format!("build-{turn}");
        journal.push(state, "a/b", &content, &["latest", &build]).await;
        assert!(journal.untag(state, &name, &tag(&build)).await);
        if turn % 20 == 19 {
            journal.settle(state).await;
            most = most.max(journal.count());
        }
    }
    assert!(most <= 2, "{most} records are left of tags that went");
}
