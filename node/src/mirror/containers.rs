//! CRI-O, podman, buildah and skopeo: `registries.conf`, and the files in the folder beside it in the order of their names
//! (containers-registries.conf.d(5)).

use std::path::{Path, PathBuf};

use super::{
    Installed, MirrorError, Note, Outcome, Registry, Report, Request, Runtime,
    block::{Made, Mark},
    plan::Plan,
    registries, written,
};

const FOLDER: &str = "/etc/containers/registries.conf.d";

/// The folder that drop-ins are in.
fn folder(request: &Request, plan: &Plan) -> PathBuf {
    plan.files().below(request.config.as_deref().unwrap_or(Path::new(FOLDER)))
}

/// The files that are read, in order.
fn files(request: &Request, plan: &Plan) -> Result<Vec<PathBuf>, MirrorError> {
    let folder = folder(request, plan);
    let is_conf = |path: &Path| path.extension().is_some_and(|extension| extension == "conf");
    let main = folder.with_extension("");
    let mut all: Vec<_> = Some(main).filter(|main| is_conf(main) && main.exists()).into_iter().collect();
    all.extend(
        plan.files().names(&folder)?.into_iter().map(|name| folder.join(name)).filter(|path| is_conf(path) && path.is_file()),
    );
    Ok(all)
}

pub(super) fn install(request: &Request, plan: &mut Plan) -> Result<Report, MirrorError> {
    let mut report = Report::default();
    for registry in &request.registries {
        let (outcome, notes) = install_one(request, registry, plan)?;
        report.outcomes.push(outcome);
        report.notes.extend(notes);
    }
    note(request, &mut report);
    Ok(report)
}

/// What was done, and what of the registry's own table keeps pulls from the mirror.
fn install_one(request: &Request, registry: &Registry, plan: &mut Plan) -> Result<(Outcome, Vec<Note>), MirrorError> {
    let files = files(request, plan)?;
    let made = written::folders(&written::find(plan, &files)?);
    let (mut own, mut covering, mut made_before, mut notes) = (None, None, None, Vec::new());
    for path in files {
        let (rest, made) = written::without(&path, plan.text(&path)?.as_deref(), registry.host())?;
        let tables = registries::tables(rest.as_deref().unwrap_or_default(), registry).map_err(|error| error.at(&path))?;
        // Of several files the last counts.
        if tables.has_own {
            own = Some(path.clone());
            notes = obstacles(&tables, registry, &path);
        }
        covering = tables.covered_by.map(|by| (by, path.clone())).or(covering);
        made_before = made.map(|made| (path, made)).or(made_before);
    }
    if let (None, Some((by, path))) = (&own, covering) {
        return Err(MirrorError::Covered { registry: registry.to_string(), by, path });
    }
    let file = own.unwrap_or_else(|| folder(request, plan).join(drop_in(registry)));
    let made_before = match made_before {
        Some((path, made)) if path == file => Some(made),
        Some((path, _)) => {
            written::take_out(plan, &path, registry.host())?;
            None
        }
        None => None,
    };
    let before = plan.text(&file)?;
    let made =
        made_before.unwrap_or_else(|| Made { is_file: before.is_none(), folders: plan.files().folders_to_make(&file, &made) });
    let mark = Mark { subject: registry.host().to_owned(), mirror: request.mirror.to_string(), made };
    let text = written::without(&file, before.as_deref(), registry.host())?.0.unwrap_or_default();
    let with = registries::with_mirror(&text, &mark, registry, &request.mirror).map_err(|error| error.at(&file))?;
    let done = written::put(plan, &file, before.as_deref(), with, made.folders)?;
    Ok((Outcome::new(registry.host(), file, done), notes))
}

fn obstacles(tables: &registries::Tables, registry: &Registry, path: &Path) -> Vec<Note> {
    let (registry, path) = (registry.to_string(), path.to_owned());
    match tables {
        registries::Tables { is_blocked: true, .. } => vec![Note::Blocked { registry, path }],
        registries::Tables { is_digests_only: true, .. } => vec![Note::DigestsOnly { registry, path }],
        _ => Vec::new(),
    }
}

/// A registry's file, where nobody has one with a table for it.
fn drop_in(registry: &Registry) -> String {
    let known = |letter: char| if letter.is_ascii_alphanumeric() || ".-".contains(letter) { letter } else { '_' };
    format!("50-longshore-{}.conf", registry.host().chars().map(known).collect::<String>())
}

pub(super) fn remove(request: &Request, plan: &mut Plan) -> Result<Report, MirrorError> {
    let files = files(request, plan)?;
    let mut report = written::remove(request, plan, &files)?;
    note(request, &mut report);
    Ok(report)
}

pub(super) fn installed(request: &Request, plan: &mut Plan) -> Result<Vec<Installed>, MirrorError> {
    let files = files(request, plan)?;
    written::installed(plan, &files)
}

fn note(request: &Request, report: &mut Report) {
    if request.runtime == Runtime::Crio {
        report.note_if_changed(Note::ReloadCrio);
    }
}
