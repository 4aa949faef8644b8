//! docker: `daemon.json`, and beside it a note of what of that is ours.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Done, Installed, MirrorError, Note, Outcome, Report, Request,
    daemon_json::{self, Made},
    plan::Plan,
};

const FILE: &str = "/etc/docker/daemon.json";
const DOCKER: &str = "docker.io";

/// What of `daemon.json` is ours. It is there before the entry, and goes after it; so where there is none, the entry is another's.
#[derive(Debug, Deserialize, Serialize)]
struct Ours {
    mirror: String,
    made: Made,
    /// How many of its folders were made for it, from the innermost on.
    folders: usize,
}

/// The two files, and what is in them.
struct State {
    path: PathBuf,
    text: Option<String>,
    note_path: PathBuf,
    ours: Option<Ours>,
}

impl State {
    fn read(request: &Request, plan: &mut Plan) -> Result<Self, MirrorError> {
        let path = plan.files().below(request.config.as_deref().unwrap_or(Path::new(FILE)));
        let mut note_path = path.clone().into_os_string();
        note_path.push(".longshore");
        let note_path = PathBuf::from(note_path);
        let note = plan.text(&note_path)?;
        let ours = note.map(|note| serde_json::from_str(&note)).transpose().map_err(MirrorError::malformed(&note_path))?;
        Ok(Self { text: plan.text(&path)?, path, note_path, ours })
    }

    fn has_mirror(&self, mirror: &str) -> Result<bool, MirrorError> {
        let has = self.text.as_ref().map(|text| daemon_json::has_mirror(text, mirror)).transpose();
        has.map(|has| has == Some(true)).map_err(MirrorError::malformed(&self.path))
    }

    /// What is installed: what was noted and is still there.
    fn installed(&self) -> Result<Option<&Ours>, MirrorError> {
        let Some(ours) = &self.ours else { return Ok(None) };
        Ok(self.has_mirror(&ours.mirror)?.then_some(ours))
    }
}

pub(super) fn install(request: &Request, plan: &mut Plan) -> Result<Report, MirrorError> {
    if let Some(other) = request.registries.iter().find(|registry| !registry.is_docker()) {
        let (registry, mirror, name) = (other.to_string(), request.mirror.authority().to_owned(), other.name().to_string());
        return Err(MirrorError::DockerHubOnly { registry, mirror, name });
    }
    let mut state = State::read(request, plan)?;
    let mirror = request.mirror.to_string();
    let done = if state.installed()?.is_some_and(|ours| ours.mirror == mirror) {
        Done::WasThere
    } else {
        let folders = state.ours.as_ref().map(|ours| ours.folders);
        take_out(&state, plan)?;
        state = State::read(request, plan)?;
        put_in(&state, plan, mirror, folders)?
    };
    let mut report = report(&state, done);
    report.note_if_changed(Note::ReloadDocker);
    Ok(report)
}

fn put_in(state: &State, plan: &mut Plan, mirror: String, folders: Option<usize>) -> Result<Done, MirrorError> {
    if state.has_mirror(&mirror)? {
        return Ok(Done::IsAnothers);
    }
    let (text, made) = daemon_json::with_mirror(state.text.as_deref(), &mirror).map_err(MirrorError::malformed(&state.path))?;
    let folders = folders.unwrap_or_else(|| plan.files().folders_to_make(&state.path, &BTreeSet::new()));
    let note = serde_json::to_string(&Ours { mirror, made, folders }).map_err(MirrorError::malformed(&state.note_path))?;
    plan.set(&state.note_path, Some(note + "\n"), folders)?;
    plan.set(&state.path, Some(text), 0)?;
    Ok(Done::Written)
}

pub(super) fn remove(request: &Request, plan: &mut Plan) -> Result<Report, MirrorError> {
    let names_others = !request.registries.is_empty() && !request.registries.iter().any(super::Registry::is_docker);
    let state = State::read(request, plan)?;
    let done = match state.installed()? {
        _ if names_others => Done::WasNotThere,
        Some(ours) if ours.mirror != request.mirror.to_string() => Done::OtherMirror(ours.mirror.clone()),
        Some(_) => {
            take_out(&state, plan)?;
            Done::Removed
        }
        None => {
            take_out(&state, plan)?;
            Done::WasNotThere
        }
    };
    let rest = plan.text(&state.path)?.unwrap_or_else(|| "{}".to_owned());
    let has_list = daemon_json::has_list(&rest).map_err(MirrorError::malformed(&state.path))?;
    let mut report = report(&state, done);
    report.note_if_changed(if has_list { Note::ReloadDocker } else { Note::RestartDocker });
    Ok(report)
}

/// Takes the entry out, if it is still there, and then the note.
fn take_out(state: &State, plan: &mut Plan) -> Result<(), MirrorError> {
    let Some(ours) = &state.ours else { return Ok(()) };
    if let Some(text) = &state.text {
        let rest = daemon_json::without_mirror(text, &ours.mirror, ours.made).map_err(MirrorError::malformed(&state.path))?;
        plan.set(&state.path, rest, 0)?;
    }
    plan.set(&state.note_path, None, ours.folders)
}

pub(super) fn installed(request: &Request, plan: &mut Plan) -> Result<Vec<Installed>, MirrorError> {
    let state = State::read(request, plan)?;
    let of = |ours: &Ours| Installed { registry: DOCKER.to_owned(), mirror: ours.mirror.clone(), path: state.path.clone() };
    Ok(state.installed()?.map(of).into_iter().collect())
}

fn report(state: &State, done: Done) -> Report {
    let path = (done != Done::WasNotThere).then(|| state.path.clone());
    Report { outcomes: vec![Outcome::new(DOCKER, path, done)], notes: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::{super::files::Files, *};

    #[test]
    fn the_note_is_there_before_the_entry_and_goes_after_it() {
        let root = tempfile::tempdir().unwrap();
        let registries = vec![DOCKER.parse().unwrap()];
        let request = Request::new(super::super::Runtime::Docker, registries, "http://127.0.0.1:5200".parse().unwrap());
        let request = Request { root: root.path().to_owned(), ..request };
        let plan = || Plan::new(Files::new(root.path()).unwrap());
        let names = |plan: &Plan| plan.changed().iter().map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>();
        let mut first = plan();
        install(&request, &mut first).unwrap();
        assert_eq!(names(&first), ["daemon.json.longshore", "daemon.json"]);
        first.apply().unwrap();
        let mut second = plan();
        remove(&request, &mut second).unwrap();
        assert_eq!(names(&second), ["daemon.json", "daemon.json.longshore"]);
    }
}
