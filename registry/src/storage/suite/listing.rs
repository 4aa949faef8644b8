use futures_util::{StreamExt, stream};
use longshore_oci::RepositoryName;

use super::{
    super::{Listed, ObjectKey, Unfinished},
    Store, Subject, bytes, key_in, on_every_store,
};

on_every_store!(
    lists_in_the_order_of_whole_keys,
    lists_below_a_prefix,
    lists_in_pages,
    lists_what_is_unfinished,
    tells_length_and_time
);

/// Repositories whose order as folders is not the order of their keys.
const NAMES: [&str; 7] = ["a", "a/b", "a-b", "a.b", "a0", "a/b/c", "b"];

async fn put_all(store: &dyn Store, keys: &[ObjectKey]) {
    let puts = keys.iter().map(|key| store.put(key, vec![bytes(3, 1)]));
    stream::iter(puts).buffer_unordered(16).for_each(|put| async { put.unwrap() }).await;
}

/// All pages together, each but the last checked to have more.
async fn list(store: &dyn Store, prefix: &str) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    for _ in 0..100 {
        let page = store.list(prefix, all.last().map(|last| last.key.as_str())).await.unwrap();
        assert!(page.objects.len() <= 1_000);
        assert!(!(page.has_more && page.objects.is_empty()));
        all.extend(page.objects);
        if !page.has_more {
            return all;
        }
    }
    panic!("the listing has no end");
}

fn keys_of(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|object| object.key.as_str()).collect()
}

async fn lists_in_the_order_of_whole_keys(Subject { store, folder: _folder }: Subject) {
    let keys: Vec<_> = NAMES.iter().flat_map(|name| [key_in(name), ObjectKey::Record(name.parse().unwrap(), 7)]).collect();
    put_all(&*store, &keys).await;
    let mut texts: Vec<_> = keys.iter().map(ToString::to_string).collect();
    texts.sort();
    assert_eq!(keys_of(&list(&*store, "").await), texts);
    for (index, after) in texts.iter().enumerate() {
        let page = store.list("", Some(after)).await.unwrap();
        assert_eq!(keys_of(&page.objects), texts[index + 1..], "after {after}");
    }
}

async fn lists_below_a_prefix(Subject { store, folder: _folder }: Subject) {
    let record = |name: &str, revision| ObjectKey::Record(name.parse().unwrap(), revision);
    let keys = [record("a", 1), record("a", 2), record("a/b", 3), record("ab", 4), key_in("a")];
    put_all(&*store, &keys).await;
    let listed = list(&*store, "repositories/a/_records/").await;
    assert_eq!(keys_of(&listed), [keys[0].to_string(), keys[1].to_string()]);
    assert_eq!(list(&*store, "repositories/a/").await.len(), 4);
    assert_eq!(list(&*store, "repositories/a").await.len(), 5);
    assert_eq!(keys_of(&list(&*store, &keys[3].to_string()).await), [keys[3].to_string()]);
    assert_eq!(list(&*store, "repositories/none/").await, []);
}

async fn lists_in_pages(Subject { store, folder: _folder }: Subject) {
    let names: [RepositoryName; 3] = ["a", "a/b", "c"].map(|name| name.parse().unwrap());
    let keys: Vec<_> = (0..1_100).map(|index| ObjectKey::Record(names[index % 3].clone(), index as u64)).collect();
    put_all(&*store, &keys).await;
    let first = store.list(ObjectKey::PREFIX, None).await.unwrap();
    assert!(first.has_more);
    let mut texts: Vec<_> = keys.iter().map(ToString::to_string).collect();
    texts.sort();
    assert_eq!(keys_of(&list(&*store, ObjectKey::PREFIX).await), texts);
}

async fn lists_what_is_unfinished(Subject { store, folder: _folder }: Subject) {
    let mut begun = Vec::new();
    for name in NAMES {
        let key = key_in(name);
        let id = store.begin(&key).await.unwrap();
        store.put_part(&key, &id, 1, vec![bytes(3, 1)]).await.unwrap();
        begun.push(Unfinished { key, id });
    }
    begun.sort_by_key(|unfinished| unfinished.key.to_string());
    assert_eq!(store.list_unfinished(None).await.unwrap(), begun);
    assert_eq!(store.list_unfinished(Some(&begun[2])).await.unwrap(), begun[3..]);
    assert_eq!(store.list_unfinished(begun.last()).await.unwrap(), []);
    for Unfinished { key, id } in &begun {
        store.abort(key, id).await.unwrap();
    }
    assert_eq!(store.list_unfinished(None).await.unwrap(), []);
    assert_eq!(list(&*store, "").await, []);
}

async fn tells_length_and_time(Subject { store, folder: _folder }: Subject) {
    let before = jiff::Timestamp::now();
    put_all(&*store, &[key_in("a")]).await;
    let listed = list(&*store, "").await;
    assert_eq!(listed[0].size_bytes, 3);
    let age_seconds = listed[0].modified_at.as_second() - before.as_second();
    assert!((-2..60).contains(&age_seconds), "{age_seconds}");
}
