//! What was written of ours into TOML files, whichever runtime's.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Done, Installed, MirrorError, Outcome, Registry, Report, Request,
    block::{self, Block, Made},
    plan::Plan,
};

/// One of ours, and its file.
pub(super) struct Written {
    pub path: PathBuf,
    pub block: Block,
}

/// All of ours in these files.
pub(super) fn find(plan: &mut Plan, paths: &[PathBuf]) -> Result<Vec<Written>, MirrorError> {
    let mut all = Vec::new();
    for path in paths {
        let blocks = blocks(path, plan.text(path)?.as_deref())?;
        all.extend(blocks.into_iter().map(|block| Written { path: path.clone(), block }));
    }
    Ok(all)
}

/// The folders that were made for them.
pub(super) fn folders(all: &[Written]) -> BTreeSet<PathBuf> {
    let folders =
        |written: &Written| written.path.ancestors().skip(1).take(written.block.mark.made.folders).map(Path::to_owned).collect();
    all.iter().flat_map(|written| -> Vec<_> { folders(written) }).collect()
}

/// A file's text without what is ours about a subject, and what was made for that; the text is `None` where nothing of the file stays.
pub(super) fn without(path: &Path, text: Option<&str>, subject: &str) -> Result<(Option<String>, Option<Made>), MirrorError> {
    let own = blocks(path, text)?.into_iter().find(|block| block.mark.subject == subject);
    Ok(match (text, own) {
        (Some(text), Some(own)) => (block::take_out(text, &own), Some(own.mark.made)),
        (text, _) => (text.map(str::to_owned), None),
    })
}

/// Plans a file's text `with` what is ours, where `before` it was another; `None` says that there is somebody else's in its place. So many of
/// the file's folders go with it.
pub(super) fn put(
    plan: &mut Plan,
    path: &Path,
    before: Option<&str>,
    with: Option<String>,
    folders: usize,
) -> Result<Done, MirrorError> {
    match with {
        None => Ok(Done::IsAnothers),
        with if with.as_deref() == before => Ok(Done::WasThere),
        with => {
            plan.set(path, with, folders)?;
            Ok(Done::Written)
        }
    }
}

/// Takes out what is there for the registries and this mirror.
pub(super) fn remove(request: &Request, plan: &mut Plan, paths: &[PathBuf]) -> Result<Report, MirrorError> {
    let mut report = Report::default();
    let found = find(plan, paths)?;
    for Written { path, block } in &found {
        let subject = &block.mark.subject;
        if !(request.registries.is_empty() || request.registries.iter().any(|registry| registry.host() == subject)) {
            continue;
        }
        let done = if block.mark.mirror == request.mirror.to_string() {
            take_out(plan, path, subject)?;
            Done::Removed
        } else {
            Done::OtherMirror(block.mark.mirror.clone())
        };
        report.outcomes.push(Outcome::new(subject, path.clone(), done));
    }
    let is_there = |registry: &&Registry| found.iter().any(|written| written.block.mark.subject == registry.host());
    let absent = request.registries.iter().filter(|registry| !is_there(registry));
    report.outcomes.extend(absent.map(|registry| Outcome::new(registry.host(), None, Done::WasNotThere)));
    Ok(report)
}

/// Takes out what is ours about a subject; says whether there was anything.
pub(super) fn take_out(plan: &mut Plan, path: &Path, subject: &str) -> Result<bool, MirrorError> {
    let (rest, made) = without(path, plan.text(path)?.as_deref(), subject)?;
    let Some(made) = made else { return Ok(false) };
    plan.set(path, rest, made.folders)?;
    Ok(true)
}

/// All of ours in these files, for people.
pub(super) fn installed(plan: &mut Plan, paths: &[PathBuf]) -> Result<Vec<Installed>, MirrorError> {
    let of = |Written { path, block }: Written| Installed { registry: block.mark.subject, mirror: block.mark.mirror, path };
    Ok(find(plan, paths)?.into_iter().map(of).collect())
}

fn blocks(path: &Path, text: Option<&str>) -> Result<Vec<Block>, MirrorError> {
    let form = |unclosed: block::Unclosed| MirrorError::Form { path: path.to_owned(), what: unclosed.to_string() };
    block::find(text.unwrap_or_default()).map_err(form)
}
