//! containerd: a folder a registry below `certs.d`, with a `hosts.toml`, which is read at each pull (containerd, `docs/hosts.md`).

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{
    Installed, MirrorError, Note, Outcome, Registry, Report, Request,
    block::{Made, Mark},
    hosts,
    plan::Plan,
    plugin_config::{self, ConfigPath},
    written,
};

/// Where containerd looks of its own accord since 2.2, and nerdctl ever since.
const FOLDERS: &str = "/etc/containerd/certs.d:/etc/docker/certs.d";
const CONFIG: &str = "/etc/containerd/config.toml";
const HOSTS: &str = "hosts.toml";
const ANY: &str = "_default";
/// What is ours in containerd's own configuration.
const CONFIG_PATH: &str = "config_path";

/// Where the folders are.
struct Places {
    /// In the order in which they are looked into.
    roots: Vec<PathBuf>,
    /// As they are written into containerd's configuration.
    as_set: String,
    config: PathBuf,
    says: ConfigPath,
}

impl Places {
    fn of(request: &Request, plan: &mut Plan) -> Result<Self, MirrorError> {
        let config = plan.files().below(request.containerd_config.as_deref().unwrap_or(Path::new(CONFIG)));
        let text = plan.text(&config)?.unwrap_or_default();
        let says = plugin_config::config_path(&text).map_err(|error| error.at(&config))?;
        let folders = match (&request.config, &says) {
            (Some(folder), _) => vec![folder.clone()],
            (None, ConfigPath::Set(folders)) => folders.clone(),
            (None, _) => FOLDERS.split(':').map(PathBuf::from).collect(),
        };
        let as_set = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":");
        let roots = folders.iter().map(|folder| plan.files().below(folder)).collect();
        Ok(Self { roots, as_set, config, says })
    }

    /// All files that something of ours may be in.
    fn files(&self, plan: &Plan) -> Result<Vec<PathBuf>, MirrorError> {
        let mut all = Vec::new();
        for root in &self.roots {
            all.extend(
                plan.files().names(root)?.into_iter().map(|name| root.join(name).join(HOSTS)).filter(|file| file.exists()),
            );
        }
        Ok(all)
    }

    /// The file that containerd goes by for a registry: in the first folder that is there, with the port in one of two forms. Where there
    /// is none it goes by `_default`, which a new folder would hide.
    fn file_of(&self, registry: &Registry, plan: &mut Plan) -> Result<PathBuf, MirrorError> {
        for root in &self.roots {
            if let Some(folder) = names(registry.host()).into_iter().map(|name| root.join(name)).find(|folder| folder.exists()) {
                return Ok(folder.join(HOSTS));
            }
            let any = root.join(ANY);
            if has_settings(&any, plan)? {
                return Err(MirrorError::Covered { registry: registry.to_string(), by: ANY.to_owned(), path: root.clone() });
            }
        }
        let root = self
            .roots
            .first()
            .ok_or_else(|| MirrorError::Form { path: self.config.clone(), what: "config_path is empty".into() })?;
        Ok(root.join(registry.host()).join(HOSTS))
    }
}

/// Whether a folder has more than what is ours.
fn has_settings(folder: &Path, plan: &mut Plan) -> Result<bool, MirrorError> {
    if plan.files().names(folder)?.iter().any(|name| name != HOSTS) {
        return Ok(true);
    }
    let file = folder.join(HOSTS);
    let text = plan.text(&file)?;
    Ok(written::without(&file, text.as_deref(), ANY)?.0.is_some_and(|rest| !rest.trim().is_empty()))
}

/// The names that a registry's folder may have, in the order in which containerd tries them.
fn names(host: &str) -> Vec<String> {
    let with_port = host.rsplit_once(':').map(|(host, port)| format!("{host}_{port}_"));
    with_port.into_iter().chain([host.to_owned()]).collect()
}

pub(super) fn install(request: &Request, plan: &mut Plan) -> Result<Report, MirrorError> {
    let places = Places::of(request, plan)?;
    let files = places.files(plan)?;
    let made = written::folders(&written::find(plan, &files)?);
    let mut report = Report::default();
    for registry in &request.registries {
        report.outcomes.push(install_one(request, registry, &places, &made, plan)?);
    }
    match &places.says {
        ConfigPath::Missing if request.edits_containerd_config => {
            set_config_path(request, &places, plan)?;
            report.notes.push(Note::RestartContainerd);
        }
        // Who names a folder knows who reads it.
        ConfigPath::Missing if request.config.is_none() => {
            let text = plan.text(&places.config)?.unwrap_or_default();
            let lines = plugin_config::lacking(&text, &places.as_set).map_err(|error| error.at(&places.config))?;
            report.notes.push(Note::ConfigPathMissing { path: places.config, lines });
        }
        ConfigPath::OldMirrors if request.config.is_none() => report.notes.push(Note::OldMirrors { path: places.config }),
        _ => {}
    }
    Ok(report)
}

fn install_one(
    request: &Request,
    registry: &Registry,
    places: &Places,
    made: &BTreeSet<PathBuf>,
    plan: &mut Plan,
) -> Result<Outcome, MirrorError> {
    let file = places.file_of(registry, plan)?;
    let before = plan.text(&file)?;
    let (text, made_before) = written::without(&file, before.as_deref(), registry.host())?;
    let made =
        made_before.unwrap_or_else(|| Made { is_file: before.is_none(), folders: plan.files().folders_to_make(&file, made) });
    let mark = Mark { subject: registry.host().to_owned(), mirror: request.mirror.to_string(), made };
    let mut first = hosts::certificates(&plan.files().names(file.parent().unwrap_or(&file))?);
    first.extend(registry.server().map(|server| ("server", format!("server = \"{server}\"\n"))));
    let with = hosts::with_mirror(text.as_deref().unwrap_or_default(), &mark, &request.mirror, &first);
    let done = written::put(plan, &file, before.as_deref(), with.map_err(|error| error.at(&file))?, made.folders)?;
    Ok(Outcome::new(registry.host(), file, done))
}

fn set_config_path(request: &Request, places: &Places, plan: &mut Plan) -> Result<(), MirrorError> {
    let config = &places.config;
    let before = plan.text(config)?;
    let folders = plan.files().folders_to_make(config, &BTreeSet::new());
    let made = Made { is_file: before.is_none(), folders };
    let mark = Mark { subject: CONFIG_PATH.to_owned(), mirror: request.mirror.to_string(), made };
    let with = plugin_config::with_config_path(before.as_deref().unwrap_or_default(), &mark, &places.as_set);
    plan.set(config, Some(with.map_err(|error| error.at(config))?), folders)
}

pub(super) fn remove(request: &Request, plan: &mut Plan) -> Result<Report, MirrorError> {
    let places = Places::of(request, plan)?;
    let files = places.files(plan)?;
    let mut report = written::remove(request, plan, &files)?;
    let is_last = written::find(plan, &files)?.is_empty();
    if request.edits_containerd_config && is_last && written::take_out(plan, &places.config, CONFIG_PATH)? {
        report.notes.push(Note::RestartContainerd);
    }
    Ok(report)
}

pub(super) fn installed(request: &Request, plan: &mut Plan) -> Result<Vec<Installed>, MirrorError> {
    let files = Places::of(request, plan)?.files(plan)?;
    written::installed(plan, &files)
}
