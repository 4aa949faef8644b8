//! What namespaces may ask for.

use longshore_fleet::{Bytes, Cpu, JobId, Quota};
use serde_json::json;
use uuid::Uuid;

use super::{
    Subject, on_every_database,
    samples::{batch, does, lead, name, namespace_row, new_workload, puts, revision_row, workload_row},
    together,
};
use crate::state::{Charge, Expected, RevisionRow, StateError, WorkloadRow, Write};

on_every_database!(
    a_quota_is_not_exceeded,
    a_quota_holds_against_many_at_once,
    what_shrank_may_still_be_given_back,
    what_goes_by_itself_gives_back_what_it_asked_for,
);

fn pods(pods: i64) -> Charge {
    Charge { pods, ..Charge::default() }
}

async fn a_quota_is_not_exceeded(subject: Subject) {
    let state = &subject.state;
    let mut namespace = namespace_row("team", 1, Some(3));
    namespace.spec.quota = Quota { cpu: Some(Cpu { millis: 1000 }), memory: Some(Bytes { count: 500 }), pods: Some(3) };
    puts(state, vec![Write::PutNamespace(namespace, Expected::None)]).await;
    let charge = |charge| vec![new_workload(1), Write::Charge(name("team"), charge)];
    let fits = Charge { cpu_millis: 600, memory_bytes: 500, pods: 2 };
    puts(state, charge(fits)).await;
    for (more, what) in [
        (Charge { cpu_millis: 401, ..Charge::default() }, "cpu"),
        (Charge { memory_bytes: 1, cpu_millis: 400, pods: 0 }, "memory"),
        (pods(2), "pods"),
    ] {
        let refused = does(state, vec![Write::Charge(name("team"), more)]).await;
        assert!(matches!(&refused, Err(StateError::OverQuota { what: over, .. }) if *over == what), "{what}: {refused:?}");
    }
    puts(state, vec![Write::Charge(name("team"), Charge { cpu_millis: 400, memory_bytes: -100, pods: 1 })]).await;
    let asked = state.namespace(&name("team")).await.unwrap().unwrap().asked;
    assert_eq!(asked, Charge { cpu_millis: 1000, memory_bytes: 400, pods: 3 });
    let refused = does(state, vec![Write::Charge(name("nowhere"), pods(1))]).await;
    assert!(matches!(refused, Err(StateError::NoNamespace(_))), "{refused:?}");
    puts(state, vec![Write::Charge(name("default"), pods(1_000_000))]).await;
}

async fn what_goes_by_itself_gives_back_what_it_asked_for(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    puts(state, vec![Write::PutNamespace(namespace_row("team", 1, Some(9)), Expected::None)]).await;
    let job = |number: u128| {
        let spec = json!({"completions": 5, "parallelism": 2});
        WorkloadRow { id: JobId(Uuid::from_u128(number)).into(), namespace: name("team"), spec, ..workload_row(number, 1) }
    };
    let template =
        json!({"image": revision_row(1, 1).template.image, "resources": {"requests": {"cpu": "500m", "memory": "100"}}});
    for number in 1..=3 {
        let row = job(number);
        let revision =
            RevisionRow { workload: row.id, template: serde_json::from_value(template.clone()).unwrap(), ..revision_row(1, 1) };
        let asked = Charge { cpu_millis: 1_000, memory_bytes: 200, pods: 2 };
        let made = vec![
            Write::Charge(name("team"), asked),
            Write::PutWorkload(Box::new(row), Expected::None),
            Write::PutRevision(Box::new(revision)),
        ];
        puts(state, made).await;
    }
    // Somebody has one deleted, which gives back what it asks for; the leader takes it away later, with one that goes by itself.
    let deleted = WorkloadRow { revision: 2, deleted: Some(5), ..job(1) };
    let given = Charge { cpu_millis: -1_000, memory_bytes: -200, pods: -2 };
    puts(state, vec![Write::Charge(name("team"), given), Write::PutWorkload(Box::new(deleted), Expected::At(1))]).await;
    let removals = [1, 2].map(|number| Write::RemoveWorkload(job(number).id)).to_vec();
    state.commit(term, &batch(1, removals.clone())).await.unwrap();
    let asked = state.namespace(&name("team")).await.unwrap().unwrap().asked;
    assert_eq!(asked, Charge { cpu_millis: 1_000, memory_bytes: 200, pods: 2 });
    state.commit(term, &batch(2, removals)).await.unwrap();
    assert_eq!(state.namespace(&name("team")).await.unwrap().unwrap().asked, asked, "once");
}

async fn a_quota_holds_against_many_at_once(subject: Subject) {
    puts(&subject.state, vec![Write::PutNamespace(namespace_row("team", 1, Some(10)), Expected::None)]).await;
    let done = together(&subject, 24, |number, state| async move {
        let mut granted = 0_i64;
        for turn in 0..4 {
            let more = if (number + turn) % 3 == 0 { 3 } else { 1 };
            match does(&state, vec![Write::Charge(name("team"), pods(more))]).await {
                Ok(_) => granted += more,
                Err(StateError::OverQuota { what: "pods", .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
            let asked = state.namespace(&name("team")).await.unwrap().unwrap().asked.pods;
            assert!((0..=10).contains(&asked), "{asked}");
            if granted > 0 && turn % 2 == 1 {
                does(&state, vec![Write::Charge(name("team"), pods(-granted))]).await.unwrap();
                granted = 0;
            }
        }
        granted
    })
    .await;
    let asked = subject.state.namespace(&name("team")).await.unwrap().unwrap().asked.pods;
    assert_eq!(asked, done.iter().sum::<i64>());
}

async fn what_shrank_may_still_be_given_back(subject: Subject) {
    let state = &subject.state;
    puts(state, vec![Write::PutNamespace(namespace_row("team", 1, Some(10)), Expected::None)]).await;
    puts(state, vec![Write::Charge(name("team"), pods(8))]).await;
    puts(state, vec![Write::PutNamespace(namespace_row("team", 2, Some(2)), Expected::At(1))]).await;
    puts(state, vec![Write::Charge(name("team"), pods(-1))]).await;
    assert!(matches!(does(state, vec![Write::Charge(name("team"), pods(1))]).await, Err(StateError::OverQuota { .. })));
    assert_eq!(state.namespace(&name("team")).await.unwrap().unwrap().asked, pods(7), "a change of the namespace leaves it");
}
