//! Which layers are on which nodes.

use super::{
    Subject, on_every_database,
    samples::{batch, layer, lead, new_node, node, puts, sweep},
    together,
};
use crate::state::{LayerRow, Sweep, Write};

on_every_database!(
    a_node_has_the_layers_that_it_said_last,
    all_nodes_layers_are_read_in_slices,
    layers_that_no_node_has_go,
    a_layer_that_comes_while_others_go_stays,
    layers_of_a_node_that_goes_go_with_it,
);

fn layers(numbers: std::ops::Range<u64>) -> Vec<LayerRow> {
    numbers.map(layer).collect()
}

async fn a_node_has_the_layers_that_it_said_last(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    puts(state, vec![new_node(1), new_node(2)]).await;
    assert_eq!(state.layers(node(1)).await.unwrap(), []);
    let put = |number, layers| Write::PutLayers(node(number), layers);
    let writes = vec![put(1, layers(0..3)), put(1, layers(0..700)), put(2, layers(600..900)), put(3, layers(0..9))];
    state.commit(term, &batch(1, writes)).await.unwrap();
    assert_eq!(state.layers(node(1)).await.unwrap(), layers(0..700));
    assert_eq!(state.layers(node(2)).await.unwrap(), layers(600..900));
    assert_eq!(state.layers(node(3)).await.unwrap(), [], "there is no such node");
    assert_eq!(subject.count("layers").await, 900, "each once");
    state.commit(term, &batch(2, vec![put(1, layers(5..6)), put(2, vec![])])).await.unwrap();
    assert_eq!((state.layers(node(1)).await.unwrap(), state.layers(node(2)).await.unwrap()), (layers(5..6), vec![]));
    puts(state, vec![Write::RemoveNode(node(1))]).await;
    assert_eq!((state.layers(node(1)).await.unwrap(), subject.count("node_layers").await), (vec![], 1));
}

async fn all_nodes_layers_are_read_in_slices(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    puts(state, (1..=5).map(new_node).collect()).await;
    let of = |number: u128| layers(u64::try_from(number).unwrap() * 10..u64::try_from(number).unwrap() * 10 + 15);
    let writes = (1..=5).map(|number| Write::PutLayers(node(number), of(number))).collect();
    state.commit(term, &batch(1, writes)).await.unwrap();
    let first = state.every_layer(None, 3).await.unwrap();
    let rest = state.every_layer(Some(first[2].0), 3).await.unwrap();
    let expected: Vec<_> = (1..=5).map(|number| (node(number), of(number))).collect();
    assert_eq!(first.into_iter().chain(rest).collect::<Vec<_>>(), expected);
    assert_eq!(state.every_layer(Some(node(5)), 3).await.unwrap(), []);
}

async fn layers_that_no_node_has_go(subject: Subject) {
    let state = &subject.state;
    let term = lead(state).await;
    puts(state, vec![new_node(1), new_node(2)]).await;
    let writes = vec![Write::PutLayers(node(1), layers(0..20)), Write::PutLayers(node(2), layers(10..30))];
    state.commit(term, &batch(1, writes)).await.unwrap();
    assert_eq!(state.sweep(&sweep()).await.unwrap(), 0);
    state.commit(term, &batch(2, vec![Write::PutLayers(node(1), layers(0..5))])).await.unwrap();
    assert_eq!(state.sweep(&Sweep { most: 3, ..sweep() }).await.unwrap(), 3, "so many at once");
    assert_eq!(state.sweep(&sweep()).await.unwrap(), 2);
    assert_eq!(state.layers(node(1)).await.unwrap(), layers(0..5));
    assert_eq!(state.layers(node(2)).await.unwrap(), layers(10..30));
    puts(state, vec![Write::RemoveNode(node(1)), Write::RemoveNode(node(2))]).await;
    assert_eq!(state.sweep(&sweep()).await.unwrap(), 25);
    assert_eq!(subject.count("layers").await, 0);
}

/// One task gives a node layers and takes them away again while others drop what nobody has: what it has put is there.
async fn a_layer_that_comes_while_others_go_stays(subject: Subject) {
    let term = lead(&subject.state).await;
    puts(&subject.state, vec![new_node(1)]).await;
    together(&subject, 4, |number, state| async move {
        for turn in 0..60_u64 {
            if number > 0 {
                state.sweep(&sweep()).await.unwrap();
                continue;
            }
            let some = layers(turn % 3 * 10..turn % 3 * 10 + 15);
            state.commit(term, &batch(turn + 1, vec![Write::PutLayers(node(1), some.clone())])).await.unwrap();
            assert_eq!(state.layers(node(1)).await.unwrap(), some);
        }
    })
    .await;
}

async fn layers_of_a_node_that_goes_go_with_it(subject: Subject) {
    let term = lead(&subject.state).await;
    for round in 1..=30 {
        puts(&subject.state, (1..=8).map(new_node).collect()).await;
        together(&subject, 2, |number, state| async move {
            if number == 0 {
                puts(&state, (1..=8).map(|number| Write::RemoveNode(node(number))).collect()).await;
            } else {
                let writes = (1..=8).map(|number| Write::PutLayers(node(number), layers(0..3))).collect();
                state.commit(term, &batch(round, writes)).await.unwrap();
            }
        })
        .await;
        assert_eq!((subject.count("nodes").await, subject.count("node_layers").await), (0, 0), "round {round}");
    }
}
