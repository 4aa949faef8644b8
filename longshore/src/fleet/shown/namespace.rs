use std::fmt::Display;

use longshore_fleet::api::NamespaceView;

use super::{Column, Kind, Named, Shown, always, wide};
use crate::output::ByteCount;

impl Shown for NamespaceView {
    const COLUMNS: &'static [Column<Self>] = &[
        always("NAMESPACE", |namespace, _| namespace.spec.name.to_string()),
        always("PODS", |namespace, _| of(namespace.pods, namespace.spec.quota.pods)),
        always("CPU", |namespace, _| of(namespace.asked.cpu.unwrap_or_default(), namespace.spec.quota.cpu)),
        always("MEMORY", |namespace, _| {
            let asked = ByteCount(namespace.asked.memory.unwrap_or_default().count);
            of(asked, namespace.spec.quota.memory.map(|memory| ByteCount(memory.count)))
        }),
        wide("REVISION", |namespace, _| namespace.revision.to_string()),
        wide("ALLOWS", |namespace, _| allows(namespace)),
    ];
}

impl Named for NamespaceView {
    const KIND: Kind = Kind::Namespace;
}

/// How much is taken of how much there may be.
fn of<T: Display>(taken: T, quota: Option<T>) -> String {
    match quota {
        Some(quota) => format!("{taken} of {quota}"),
        None => taken.to_string(),
    }
}

/// What its pods may do to nodes.
pub fn allows(namespace: &NamespaceView) -> String {
    let allow = &namespace.spec.allow;
    let mut words: Vec<String> = Vec::new();
    let flags = [(allow.privileged, "privileged"), (allow.host_network, "host network"), (allow.root, "root")];
    words.extend(flags.iter().filter(|(is_allowed, _)| *is_allowed).map(|(_, word)| (*word).to_owned()));
    words.extend(allow.host_paths.iter().cloned());
    words.extend(allow.capabilities.iter().cloned());
    super::or_nothing(Some(words.join(", ")).filter(|words| !words.is_empty()))
}
