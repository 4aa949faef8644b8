//! What a pod's machine does, step by step, and that it comes to rest from wherever it begins.

use longshore_fleet::Assignment;

/// A pod of this template, which need not name its image.
pub fn assignment(template: &str) -> Assignment {
    let mut template: serde_json::Value = serde_json::from_str(template).unwrap();
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    template["image"] = format!("localhost:5000/hello@{digest}").into();
    serde_json::from_value(serde_json::json!({
        "id": "pod_00000000000000000000000000000007", "name": "hello-1", "namespace": "default",
        "owner": {"kind": "deployment", "name": "hello", "revision": 1}, "template": template, "labels": {}, "restart": "Always",
    }))
    .unwrap()
}

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use longshore_fleet::{Phase, RestartPolicy};
use proptest::prelude::*;

use super::{
    Action, Container, Done, Exit, Failure, Glimpse, ImageUser, Machine, Now, ProbeKind, Rules, Sandbox, Seen, Status, Verdict,
};

/// A runtime as simple as can be, a clock that is set, and a pod between them.
struct World {
    machine: Machine,
    now: Now,
    sandboxes: Vec<Sandbox>,
    containers: Vec<Container>,
    image: Option<ImageUser>,
    /// What is said to the next calls that change something, instead of doing it.
    failures: Vec<Failure>,
    is_down: bool,
    calls: Vec<&'static str>,
    made: usize,
    has_folder: bool,
}

fn assigned(template: &str, restart: RestartPolicy) -> Assignment {
    Assignment { restart, ..assignment(template) }
}

/// Since when a container runs, if it does.
fn runs_since(container: &Container) -> Option<Timestamp> {
    match container.status {
        Status::Running { since } => Some(since),
        _ => None,
    }
}

impl World {
    fn new(assignment: Assignment) -> Self {
        let now = Now { at: Instant::now(), wall: Timestamp::UNIX_EPOCH };
        let machine = Machine::new(assignment, now.wall, Rules::default());
        Self {
            machine,
            now,
            sandboxes: Vec::new(),
            containers: Vec::new(),
            image: None,
            failures: Vec::new(),
            is_down: false,
            calls: Vec::new(),
            made: 0,
            has_folder: true,
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.wall = self.now.wall.checked_add(SignedDuration::try_from(time).unwrap()).unwrap();
    }

    /// Has it do what it wants to do now, until it waits.
    fn settle(&mut self) {
        for _ in 0..100 {
            let next = self.machine.next(self.now);
            if next.breaks_off {
                self.machine.broken_off();
                continue;
            }
            let Some(action) = next.action else { return };
            let result = self.carry_out(&action);
            self.machine.done(result, self.now);
        }
        panic!("it never comes to rest: {:?}", &self.calls[self.calls.len() - 20..]);
    }

    /// The same, for so long: each time when it wants to be asked again.
    fn settle_for(&mut self, time: Duration) {
        let end = self.now.at + time;
        loop {
            self.settle();
            let next = self.machine.next(self.now).wake_at.filter(|at| *at < end).unwrap_or(end);
            self.pass(next - self.now.at);
            if next == end {
                return;
            }
        }
    }

    fn carry_out(&mut self, action: &Action) -> Result<Done, Failure> {
        if self.is_down {
            return Err(Failure { is_down: true, message: "away".into() });
        }
        let call = match action {
            Action::Look => return Ok(Done::Seen(Box::new(self.seen()))),
            Action::CheckImage => return Ok(Done::Image(self.image.clone())),
            Action::MakeSandbox { .. } => "sandbox",
            Action::Pull => "pull",
            Action::Create { .. } => "create",
            Action::Start { .. } => "start",
            Action::Stop { .. } => "stop",
            Action::StopSandbox { .. } => "stop sandbox",
            Action::RemoveSandbox { .. } => "remove sandbox",
            Action::RemoveContainer { .. } => "remove",
            Action::Clear => "clear",
        };
        self.calls.push(call);
        if let Some(failure) = self.failures.pop() {
            return Err(failure);
        }
        self.change(action);
        if *action == Action::Clear { Ok(Done::Cleared) } else { Ok(Done::Changed) }
    }

    fn change(&mut self, action: &Action) {
        self.made += 1;
        let id = self.made.to_string();
        match action.clone() {
            Action::MakeSandbox { attempt, containers_before } => {
                self.sandboxes.push(Sandbox { id, attempt, is_ready: true, address: None, containers_before });
            }
            Action::Pull => self.image = Some(ImageUser::default()),
            Action::Create { sandbox, attempt, .. } => {
                assert!(self.sandboxes.iter().any(|one| one.id == sandbox && one.is_ready), "it needs a sandbox");
                assert!(!self.containers.iter().any(|one| matches!(one.status, Status::Running { .. })), "twice run");
                let mark = super::super::make::mark(&self.machine.assignment.template);
                self.containers.push(Container { id, sandbox, attempt, mark, status: Status::Created });
            }
            Action::Start { container, .. } => {
                let since = self.now.wall;
                self.container(&container).status = Status::Running { since };
            }
            Action::Stop { container, .. } => self.exit(&container, 143),
            Action::StopSandbox { sandbox } => {
                let inside: Vec<_> =
                    self.containers.iter().filter(|one| one.sandbox == sandbox).map(|one| one.id.clone()).collect();
                for id in &inside {
                    self.exit(id, 137);
                }
                self.sandboxes.iter_mut().filter(|one| one.id == sandbox).for_each(|one| one.is_ready = false);
            }
            Action::RemoveSandbox { sandbox } => {
                assert!(!self.sandboxes.iter().any(|one| one.id == sandbox && one.is_ready), "it is ended first");
                self.sandboxes.retain(|one| one.id != sandbox);
                self.containers.retain(|one| one.sandbox != sandbox);
            }
            Action::RemoveContainer { container } => {
                assert!(runs_since(self.container(&container)).is_none(), "it runs");
                self.containers.retain(|one| one.id != container);
            }
            Action::Clear => self.has_folder = false,
            Action::Look | Action::CheckImage => {}
        }
    }

    fn container(&mut self, id: &str) -> &mut Container {
        self.containers.iter_mut().find(|one| one.id == id).expect("there is such a container")
    }

    fn exit(&mut self, id: &str, code: i32) {
        let now = self.now.wall;
        let container = self.container(id);
        if let Some(since) = runs_since(container) {
            let (reason, message) = (String::new(), String::new());
            container.status = Status::Exited(Exit { code, reason, message, started_at: Some(since), finished_at: Some(now) });
        }
    }

    /// The container that runs ends by itself, and that is noticed.
    fn crash(&mut self, code: i32) {
        let id = self.containers.iter().find(|one| runs_since(one).is_some()).expect("one runs").id.clone();
        self.exit(&id, code);
        self.notice();
    }

    fn glimpse(&self) -> Glimpse {
        let state = |status: &Status| match status {
            Status::Created => 0,
            Status::Running { .. } => 1,
            Status::Exited(_) => 2,
            Status::Unknown => 3,
            Status::NeverRan => 4,
        };
        let mut glimpse = Glimpse {
            sandboxes: self.sandboxes.iter().map(|one| (one.id.clone(), i32::from(!one.is_ready))).collect(),
            containers: self.containers.iter().map(|one| (one.id.clone(), state(&one.status))).collect(),
        };
        glimpse.sort();
        glimpse
    }

    fn notice(&mut self) {
        self.machine.glimpse(&self.glimpse());
    }

    fn seen(&self) -> Seen {
        let (mut sandboxes, mut containers) = (self.sandboxes.clone(), self.containers.clone());
        sandboxes.sort_by_key(|one| one.attempt);
        containers.sort_by_key(|one| one.attempt);
        let (sandbox, container) = (sandboxes.pop(), containers.pop());
        // Of those that ended one is kept besides, unless the newest has.
        if container.as_ref().is_some_and(|one| !matches!(one.status, Status::Exited(_))) {
            containers.pop();
        }
        Seen {
            sandbox,
            container,
            surplus_sandboxes: sandboxes.into_iter().map(|one| (one.id, one.is_ready)).collect(),
            surplus_containers: containers.into_iter().map(|one| one.id).collect(),
            glimpse: self.glimpse(),
        }
    }

    fn running(&self) -> usize {
        self.containers.iter().filter(|one| runs_since(one).is_some()).count()
    }

    /// Phase, reason and restarts.
    fn told(&mut self) -> (Phase, String, u32) {
        let state = self.machine.state(self.now);
        (state.phase, state.reason.unwrap_or_default(), state.restarts)
    }

    fn end(&mut self, seconds: u32) {
        let assignment = Assignment { end_within_seconds: Some(seconds), ..self.machine.assignment.clone() };
        self.machine.assign(assignment);
    }
}

fn failure(message: &str) -> Failure {
    Failure { is_down: false, message: message.into() }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_pod_comes_up_step_by_step_and_goes_without_a_trace() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.settle();
    assert_eq!(world.calls, ["sandbox", "pull", "create", "start"]);
    let state = world.machine.state(world.now);
    assert!(state.phase == Phase::Running && state.ready && state.restarts == 0 && state.started_in_ms == Some(0));
    world.end(5);
    assert_eq!(world.told().0, Phase::Ending);
    world.calls.clear();
    world.settle();
    assert_eq!(world.calls, ["stop", "stop sandbox", "remove sandbox", "clear"]);
    assert!(world.machine.is_gone() && world.sandboxes.is_empty() && world.containers.is_empty() && !world.has_folder);
    assert_eq!(world.machine.state(world.now).exit_code, Some(143));
}

#[test]
fn what_crashes_is_restarted_at_once_and_then_after_longer_and_longer() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.settle();
    let mut waits = Vec::new();
    for crash in 1..=8 {
        world.crash(1);
        world.settle();
        let before = world.now.at;
        if world.running() == 0 {
            assert_eq!(world.told(), (Phase::Waiting, "CrashLoopBackOff".into(), crash - 1));
            let wake = world.machine.next(world.now).wake_at.expect("it is tried again");
            world.pass(wake - world.now.at);
            world.settle();
        }
        assert_eq!((world.running(), world.told()), (1, (Phase::Running, String::new(), crash)));
        waits.push((world.now.at - before).as_secs());
    }
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    assert!(world.containers.len() <= 2, "one that ended is kept");
    // After a long run it counts as the first again.
    world.pass(601 * SECOND);
    world.crash(0);
    world.settle();
    assert_eq!(world.running(), 1);
    assert_eq!(world.machine.state(world.now).exit_code, Some(0), "that of the one before");
}

#[test]
fn what_is_not_to_be_restarted_is_not() {
    for (code, phase, reason) in [(0, Phase::Succeeded, "Completed"), (3, Phase::Failed, "Error")] {
        let mut world = World::new(assigned("{}", RestartPolicy::Never));
        world.settle();
        world.crash(code);
        world.settle_for(3_600 * SECOND);
        assert_eq!((world.running(), world.told()), (0, (phase, reason.into(), 0)));
        assert_eq!(world.machine.state(world.now).exit_code, Some(code));
        assert_eq!(world.containers.len(), 1, "what it wrote can be read");
        assert!(!world.sandboxes[0].is_ready);
    }
}

#[test]
fn what_is_to_run_once_is_not_run_again_because_somebody_has_removed_it() {
    let mut world = World::new(assigned("{}", RestartPolicy::Never));
    world.settle();
    world.containers.clear();
    world.notice();
    world.settle_for(3_600 * SECOND);
    assert_eq!((world.running(), world.told().0, world.told().1), (0, Phase::Failed, "ContainerLost".into()));
}

#[test]
fn what_has_ended_is_not_run_again_by_an_agent_that_finds_nothing_of_it() {
    let mut world = World::new(Assignment { has_ended: true, ..assigned("{}", RestartPolicy::Never) });
    world.settle_for(3_600 * SECOND);
    assert_eq!((world.calls.len(), world.told().0), (0, Phase::Failed));
    world.end(1);
    world.settle();
    assert!(world.machine.is_gone());
}

#[test]
fn who_is_to_end_does_not_wait_for_what_failed_before() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.image = Some(ImageUser::default());
    world.change(&Action::MakeSandbox { attempt: 0, containers_before: 0 });
    world.failures = vec![failure("no such command"); 4];
    world.settle_for(75 * SECOND);
    assert_eq!(world.told().1, "CreateContainerError");
    let wake = world.machine.next(world.now).wake_at.expect("it is tried again");
    assert!(wake - world.now.at > 10 * SECOND);
    world.end(1);
    world.settle();
    assert!(world.machine.is_gone(), "{:?}", world.calls);
}

#[test]
fn a_sandbox_that_is_being_made_is_given_up_for_the_end() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    while !matches!(world.machine.pending.as_ref().map(|pending| &pending.action), Some(Action::MakeSandbox { .. })) {
        let action = world.machine.next(world.now).action.expect("it goes on");
        if !matches!(action, Action::MakeSandbox { .. }) {
            let result = world.carry_out(&action);
            world.machine.done(result, world.now);
        }
    }
    world.end(1);
    world.settle();
    assert!(world.machine.is_gone());
}

#[test]
fn a_runtime_that_only_says_it_is_done_is_not_asked_without_an_end() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.settle();
    world.end(1);
    let mut asked = 0;
    for _ in 0..100 {
        let next = world.machine.next(world.now);
        let Some(action) = next.action else {
            assert!(next.wake_at.is_some());
            break;
        };
        let result = if action == Action::Look { world.carry_out(&action) } else { Ok(Done::Changed) };
        asked += usize::from(action != Action::Look);
        world.machine.done(result, world.now);
    }
    assert_eq!(asked, 4);
    let state = world.machine.state(world.now);
    assert!(state.message.unwrap().contains("says that it is done"));
    world.settle_for(60 * SECOND);
    assert!(world.machine.is_gone());
}

#[test]
fn memory_that_ran_out_is_told() {
    let mut world = World::new(assigned("{}", RestartPolicy::Never));
    world.settle();
    let exit = Exit { code: 0, reason: "OOMKilled".into(), message: String::new(), started_at: None, finished_at: None };
    world.containers[0].status = Status::Exited(exit);
    world.notice();
    world.settle();
    assert_eq!(world.told(), (Phase::Failed, "OOMKilled".into(), 0));
    assert!(world.machine.state(world.now).message.unwrap().contains("memory"));
}

#[test]
fn an_image_that_does_not_come_is_asked_for_less_and_less() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.failures = vec![failure("no such manifest"); 3];
    // The sandbox is made first.
    let sandbox = Action::MakeSandbox { attempt: 0, containers_before: 0 };
    world.change(&sandbox);
    world.settle();
    assert_eq!(world.told(), (Phase::Waiting, "ErrImagePull".into(), 0));
    assert_eq!(world.machine.state(world.now).message.unwrap(), "no such manifest");
    world.settle_for(11 * SECOND);
    assert_eq!(world.told().1, "ImagePullBackOff");
    world.settle_for(50 * SECOND);
    assert_eq!(world.calls, ["pull", "pull", "pull"]);
    world.settle_for(60 * SECOND);
    assert_eq!((world.running(), world.told()), (1, (Phase::Running, String::new(), 0)));
}

#[test]
fn root_is_not_run_where_it_is_not_wanted() {
    for (restart, phase) in [(RestartPolicy::Always, Phase::Waiting), (RestartPolicy::Never, Phase::Failed)] {
        let mut world = World::new(Assignment { must_not_be_root: true, ..assigned("{}", restart) });
        world.settle_for(3_600 * SECOND);
        assert_eq!(world.calls, ["sandbox", "pull"]);
        assert_eq!(world.told(), (phase, "MustNotBeRoot".into(), 0));
        // What runs already is not judged anew, whatever is wanted from now on.
        let mut running = World::new(assigned("{}", restart));
        running.settle();
        let strict = Assignment { must_not_be_root: true, ..running.machine.assignment.clone() };
        running.machine.assign(strict);
        running.settle();
        assert_eq!((running.running(), running.told()), (1, (Phase::Running, String::new(), 0)));
        world.end(1);
        world.settle();
        assert!(world.machine.is_gone());
    }
}

#[test]
fn liveness_starts_it_anew_and_readiness_does_not() {
    let probes = r#"{"probes":{"readiness":{"tcp":{"port":1},"failureThreshold":1},"liveness":{"tcp":{"port":1},"failureThreshold":2}},
        "terminationGracePeriodSeconds":7}"#;
    let mut world = World::new(assigned(probes, RestartPolicy::Always));
    world.settle();
    assert!(!world.machine.state(world.now).ready);
    let id = world.containers[0].id.clone();
    let now = world.now;
    world.machine.probed(&id, ProbeKind::Readiness, Verdict::Well, now);
    assert!(world.machine.state(world.now).ready);
    let since = world.machine.state(world.now).ready_since;
    world.pass(SECOND);
    assert_eq!(world.machine.state(world.now).ready_since, since, "nothing has changed");
    let now = world.now;
    world.machine.probed(&id, ProbeKind::Readiness, Verdict::Ill("away".into()), now);
    let state = world.machine.state(now);
    assert!(!state.ready && state.ready_since > since && state.message.unwrap().contains("away"));
    world.machine.probed(&id, ProbeKind::Liveness, Verdict::Ill("hangs".into()), now);
    assert!(world.machine.next(now).action.is_none());
    world.machine.probed(&id, ProbeKind::Liveness, Verdict::Ill("hangs".into()), now);
    let Some(Action::Stop { grace, .. }) = world.machine.next(now).action else { panic!("it is started anew") };
    assert_eq!(grace, 7 * SECOND);
    world.exit(&id, 143);
    world.machine.done(Ok(Done::Changed), now);
    world.settle();
    assert_eq!(world.told(), (Phase::Running, String::new(), 1));
    // What is said of the one before is nothing to this one.
    for _ in 0..3 {
        world.machine.probed(&id, ProbeKind::Liveness, Verdict::Ill("hangs".into()), now);
    }
    assert!(world.machine.next(world.now).action.is_none());
}

#[test]
fn an_agent_that_comes_back_takes_up_what_runs() {
    let mut world = World::new(assigned(r#"{"probes":{"readiness":{"tcp":{"port":1}}}}"#, RestartPolicy::Always));
    world.settle();
    world.crash(1);
    world.settle();
    world.pass(60 * SECOND);
    world.machine = Machine::new(world.machine.assignment.clone(), world.now.wall, Rules::default());
    world.calls.clear();
    world.settle();
    assert!(world.calls.is_empty(), "{:?}", world.calls);
    assert_eq!((world.running(), world.told()), (1, (Phase::Running, String::new(), 1)));
    assert!(world.machine.state(world.now).ready, "nobody has said otherwise");
    // And counts on, though the sandbox and with it all containers went.
    world.containers.clear();
    world.sandboxes[0].is_ready = false;
    world.notice();
    world.settle();
    assert_eq!(world.told(), (Phase::Running, String::new(), 2));
    assert_eq!(world.sandboxes[0].containers_before, 2);
    world.machine = Machine::new(world.machine.assignment.clone(), world.now.wall, Rules::default());
    world.containers.clear();
    world.settle();
    assert_eq!(world.told().2, 2, "the sandbox says how many there were");
}

#[test]
fn a_start_that_was_broken_off_counts_for_nothing() {
    for restart in [RestartPolicy::Always, RestartPolicy::Never] {
        let mut world = World::new(assigned("{}", restart));
        world.settle();
        let (reason, message) = ("StartError".to_owned(), "context canceled".to_owned());
        world.containers[0].status = Status::Exited(Exit { code: 128, reason, message, started_at: None, finished_at: None });
        world.machine = Machine::new(world.machine.assignment.clone(), world.now.wall, Rules::default());
        world.calls.clear();
        world.settle();
        assert_eq!(world.calls, ["remove", "create", "start"]);
        assert_eq!((world.running(), world.told()), (1, (Phase::Running, String::new(), 0)));
        // One that was made, and vanished before it was started.
        world.containers[0].status = Status::Created;
        world.machine = Machine::new(world.machine.assignment.clone(), world.now.wall, Rules::default());
        world.machine.next(world.now);
        let seen = world.seen();
        world.machine.done(Ok(Done::Seen(Box::new(seen))), world.now);
        world.containers.clear();
        world.notice();
        world.settle();
        assert_eq!((world.running(), world.told().2), (1, 0));
        world.containers[0].status = Status::NeverRan;
        world.notice();
        world.end(1);
        world.settle();
        assert!(world.machine.is_gone());
    }
}

#[test]
fn another_template_takes_the_place_of_what_runs() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.settle();
    world.machine.assign(assigned(r#"{"terminationGracePeriodSeconds":9}"#, RestartPolicy::Always));
    world.calls.clear();
    world.settle();
    assert!(world.calls.is_empty(), "it runs the same");
    world.machine.assign(assigned(r#"{"args":["x"]}"#, RestartPolicy::Always));
    world.settle();
    assert_eq!(world.calls, ["stop", "create", "start"]);
}

#[test]
fn a_runtime_that_is_away_is_no_fault_of_the_pod() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.is_down = true;
    world.settle_for(60 * SECOND);
    assert_eq!(world.told(), (Phase::Starting, String::new(), 0));
    world.is_down = false;
    world.settle_for(2 * SECOND);
    assert_eq!(world.running(), 1);
    world.is_down = true;
    world.notice();
    world.settle_for(60 * SECOND);
    assert_eq!(world.told(), (Phase::Running, String::new(), 0), "it is as it was seen last");
    world.end(1);
    world.settle_for(5 * SECOND);
    world.is_down = false;
    world.settle_for(5 * SECOND);
    assert!(world.machine.is_gone());
}

#[test]
fn a_pull_that_nobody_waits_for_is_broken_off_and_less_time_counts_at_once() {
    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.change(&Action::MakeSandbox { attempt: 0, containers_before: 0 });
    let step = |world: &mut World| {
        let action = world.machine.next(world.now).action.expect("something is to be done");
        if action != Action::Pull && !matches!(action, Action::Stop { .. }) {
            let result = world.carry_out(&action);
            world.machine.done(result, world.now);
        }
        action
    };
    while step(&mut world) != Action::Pull {}
    assert!(!world.machine.next(world.now).breaks_off);
    assert_eq!(world.told().0, Phase::Pulling);
    world.end(60);
    assert!(world.machine.next(world.now).breaks_off);
    world.machine.broken_off();
    world.settle();
    assert!(world.machine.is_gone());

    let mut world = World::new(assigned("{}", RestartPolicy::Always));
    world.settle();
    world.end(60);
    while !matches!(step(&mut world), Action::Stop { .. }) {}
    for (seconds, breaks_off) in [(90, false), (60, false), (5, true)] {
        world.end(seconds);
        assert_eq!(world.machine.next(world.now).breaks_off, breaks_off, "{seconds}");
    }
}

/// What befalls a pod.
#[derive(Clone, Debug)]
enum Event {
    Crash,
    Fail,
    Down(bool),
    LoseSandbox,
    LoseContainers,
    LoseImage,
    Restart,
    Pass(u32),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        Just(Event::Crash),
        Just(Event::Fail),
        any::<bool>().prop_map(Event::Down),
        Just(Event::LoseSandbox),
        Just(Event::LoseContainers),
        Just(Event::LoseImage),
        Just(Event::Restart),
        (1..400_u32).prop_map(Event::Pass),
    ];
    prop::collection::vec(event, 0..25)
}

impl World {
    fn befall(&mut self, event: &Event) {
        match event {
            Event::Crash if self.running() == 1 => self.crash(1),
            Event::Crash => {}
            Event::Fail => self.failures.push(failure("no")),
            Event::Down(is_down) => self.is_down = *is_down,
            Event::LoseSandbox => self.sandboxes.iter_mut().for_each(|one| one.is_ready = false),
            Event::LoseContainers => self.containers.clear(),
            Event::LoseImage => self.image = None,
            Event::Restart => {
                self.machine = Machine::new(self.machine.assignment.clone(), self.now.wall, Rules::default());
            }
            Event::Pass(seconds) => self.settle_for(*seconds * SECOND),
        }
        self.notice();
        self.settle();
    }
}

proptest! {
    #[test]
    fn whatever_befalls_it_one_runs_at_last_and_none_when_it_is_over(events in events()) {
        let mut world = World::new(assigned("{}", RestartPolicy::Always));
        for event in &events {
            world.befall(event);
            prop_assert!(world.running() <= 1);
        }
        (world.is_down, world.failures) = (false, Vec::new());
        world.notice();
        world.settle_for(3_600 * SECOND);
        prop_assert_eq!((world.running(), world.told().0), (1, Phase::Running));
        prop_assert!(world.sandboxes.len() == 1 && world.containers.len() <= 2);
        world.end(1);
        world.settle_for(3_600 * SECOND);
        prop_assert!(world.machine.is_gone() && world.sandboxes.is_empty() && world.containers.is_empty());
    }
}
